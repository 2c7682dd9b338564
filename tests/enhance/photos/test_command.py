"""`teststrip enhance`: a folder of photographs, good and bad ones, through a small network."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.photos.__main__ import PAGE, main
from tests.enhance.saved_network import save_network


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "day one").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    for name in ("2.jpg", "day one/3.PNG", "day one/[bold].webp"):
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_network(tmp_path / "print/weights/trial1").parent.parent


def test_names_and_sizes_are_kept_and_originals_too(album: Path, net: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in album.rglob("*.*")}
    assert main([str(net), str(album), "--out", str(tmp_path / "out")]) == 0
    assert {path: path.read_bytes() for path in before} == before
    for path in before:
        with Image.open(path) as one, Image.open(tmp_path / "out" / path.relative_to(album)) as other:
            assert (one.size, one.format) == (other.size, other.format)
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_bad_photograph_is_named_and_does_not_stop_the_others(
    album: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "bad[bold].jpg").write_bytes(b"no picture")
    (album / "notes.txt").write_text("x")
    (album / "._2.jpg").write_bytes(b"a resource fork")
    assert main([str(net), str(album), "--out", str(tmp_path / "out"), "--json"]) == 1
    said = capsys.readouterr()
    assert f"{album / 'bad[bold].jpg'}: unreadable" in said.err
    found = json.loads(said.out)
    assert found["other_files"] == 1
    assert [bool(photo["failure"]) for photo in found["photos"]] == [False, True, False, False]


def test_what_is_there_is_not_made_again(
    album: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(net), str(album), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    assert main(words) == 0
    assert "3 already there" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert main([*words, "--overwrite"]) == 0
    assert all(path.stat().st_mtime_ns > then for path, then in made.items())


@pytest.mark.parametrize("inside", ["", "sub"])
def test_results_never_lie_among_the_originals(
    inside: str, album: Path, net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(album.rglob("*"))
    assert main([str(net), str(album), "--out", str(album / inside)]) == 2
    assert "must not be overwritten" in capsys.readouterr().err
    assert main([str(net), str(album / "2.jpg"), "--out", str(album)]) == 2
    assert sorted(album.rglob("*")) == before


def test_two_photographs_of_one_name_are_refused(
    album: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.open(album / "2.jpg").save(album / "2.bmp")
    assert main([str(net), str(album), "--out", str(tmp_path / "out")]) == 2
    assert "would both become" in capsys.readouterr().err


def test_of_several_networks_one_must_be_named(
    album: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_network(net / "weights/trial2")
    words = [str(album / "2.jpg"), "--out", str(tmp_path / "out")]
    assert main([str(net), *words]) == 2
    assert "trial1, trial2" in capsys.readouterr().err
    assert main([str(net), *words, "--trial", "trial2"]) == 0


def test_where_there_is_no_network_it_is_said(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(album), "--out", str(tmp_path / "out")]) == 2
    assert "holds no trained network" in capsys.readouterr().err


def test_the_page_has_both_pictures_and_no_markup_of_others(album: Path, net: Path, tmp_path: Path) -> None:
    Image.open(album / "2.jpg").save(album / "<script>.jpg")
    assert main([str(net), str(album), "--out", str(tmp_path / "out"), "--compare"]) == 0
    text = (tmp_path / "out" / PAGE).read_text()
    assert text.count("data:image/jpeg") == 2 * 4
    assert "&lt;script&gt;.jpg" in text
    assert "http" not in text
