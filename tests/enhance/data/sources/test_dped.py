"""DPED's tree: pairs are matched by name and read completely; everything else is counted, named or refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.data import DataError, PatchStore, open_data
from enhance.data.sources import dped
from tests.places import DPED

TRAIN, VAL = "training_data", "test_data/patches"


def save(path: Path, seed: int, size_px: tuple[int, int] = (100, 100), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size_px).convert(mode).save(path, format="JPEG", quality=90)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Twenty training and ten validation pairs of one phone; returns the folder of the phone."""
    phone = tmp_path / "dped" / "sony"
    for folder, count, first in ((TRAIN, 20, 0), (VAL, 10, 100)):
        for number in range(count):
            save(phone / folder / "sony" / f"{number}.jpg", first + number)
            save(phone / folder / "canon" / f"{number}.jpg", first + number + 1000)
    return phone


def load(folder: Path, cache: Path) -> PatchStore:
    return open_data(f"dped:{folder}", cache=cache)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.slow
def test_pairs_by_name_in_the_order_of_their_numbers(tree: Path, tmp_path: Path) -> None:
    store = load(tree, tmp_path)
    assert len(store.train_input) == 20
    assert len(store.val_input) == 10
    for number in range(20):
        name = f"{number}.jpg"
        assert np.array_equal(store.train_input[number], pixels(tree / TRAIN / "sony" / name))
        assert np.array_equal(store.train_target[number], pixels(tree / TRAIN / "canon" / name))
    assert np.array_equal(store.val_input[9], pixels(tree / VAL / "sony" / "9.jpg"))
    assert store.summary["excluded"] == {}
    assert store.summary["identical"] == {"count": 0, "examples": []}


def test_the_folder_above_a_single_phone_will_do(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_phone = load(tree, tmp_path)
    monkeypatch.chdir(tmp_path)
    by_parent = load(Path("dped"), tmp_path)
    assert by_parent.path == by_phone.path
    assert by_parent.spec == f"dped:{tree}"


def test_several_phones_are_listed(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tree.parent / "iphone")
    with pytest.raises(DataError, match=r"several phones; choose from dped:.*/iphone, dped:.*/sony"):
        load(tree.parent, tmp_path)


def test_a_renamed_phone_folder_will_do(tree: Path, tmp_path: Path) -> None:
    renamed = tree.rename(tree.with_name("xperia"))
    assert len(load(renamed, tmp_path).train_input) == 20


@pytest.mark.parametrize("missing", [TRAIN, f"{TRAIN}/canon", f"{TRAIN}/sony", "test_data", VAL, f"{VAL}/canon"])
def test_a_missing_folder_is_named(tree: Path, tmp_path: Path, missing: str) -> None:
    shutil.rmtree(tree / missing)
    with pytest.raises(DataError, match=r"(there is no|must have).*(training_data|canon|patches)"):
        load(tree, tmp_path)


def test_no_folder_and_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*absent"):
        load(tmp_path / "absent", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        load(tmp_path / "file", tmp_path)


def test_an_empty_folder_is_named(tree: Path, tmp_path: Path) -> None:
    for folder in ("sony", "canon"):
        shutil.rmtree(tree / VAL / folder)
        (tree / VAL / folder).mkdir()
    with pytest.raises(DataError, match=r"there is no N\.jpg in "):
        load(tree, tmp_path)


def _truncate(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


BREAKS = {
    "unreadable": _truncate,
    "wrong size": lambda path: save(path, 1, size_px=(100, 99)),
    "not RGB": lambda path: save(path, 1, mode="L"),
    "no partner": Path.unlink,
}


@pytest.mark.parametrize("reason", BREAKS)
@pytest.mark.parametrize("side", ["sony", "canon"])
def test_a_bad_pair_is_left_out_by_name(tree: Path, tmp_path: Path, reason: str, side: str) -> None:
    BREAKS[reason](tree / TRAIN / side / "7.jpg")
    store = load(tree, tmp_path)
    assert len(store.train_input) == 19
    assert np.array_equal(store.train_input[7], pixels(tree / TRAIN / "sony" / "8.jpg"))
    assert np.array_equal(store.train_target[7], pixels(tree / TRAIN / "canon" / "8.jpg"))
    assert store.summary["excluded"][reason]["count"] == 1
    assert store.summary["excluded"][reason]["examples"][0].startswith("training_data/7.jpg (")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_jpeg_is_unreadable(tree: Path, tmp_path: Path, content: bytes) -> None:
    (tree / VAL / "canon" / "3.jpg").write_bytes(content)
    assert load(tree, tmp_path).summary["excluded"]["unreadable"]["count"] == 1


def test_more_than_a_tenth_left_out_is_refused(tree: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tree / TRAIN / "sony" / f"{number}.jpg").unlink()
    assert len(load(tree, tmp_path).train_input) == 18
    _truncate(tree / TRAIN / "canon" / "3.jpg")
    with pytest.raises(
        DataError, match=r"3 of 20 pairs in .*training_data .*more than 10%: 2 no partner .*1 unreadable"
    ):
        load(tree, tmp_path)


def test_validation_has_its_own_tenth(tree: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tree / VAL / "sony" / f"{number}.jpg").unlink()
    with pytest.raises(DataError, match=r"2 of 10 pairs in .*test_data/patches"):
        load(tree, tmp_path)


def test_identical_pairs_stay_and_are_counted(tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / TRAIN / "sony" / "4.jpg", tree / TRAIN / "canon" / "4.jpg")
    store = load(tree, tmp_path)
    assert len(store.train_input) == 20
    assert store.summary["identical"] == {"count": 1, "examples": ["training_data/4.jpg"]}


@pytest.mark.parametrize(("side", "source"), [("sony", "sony"), ("canon", "canon"), ("canon", "sony")])
def test_a_test_pair_with_a_training_patch_is_left_out(tree: Path, tmp_path: Path, side: str, source: str) -> None:
    shutil.copy(tree / TRAIN / source / "4.jpg", tree / VAL / side / "0.jpg")
    store = load(tree, tmp_path)
    assert store.summary["excluded"]["copy of a training picture"] == {
        "count": 1,
        "examples": ["test_data/patches/0.jpg (of training_data/4.jpg)"],
    }
    assert len(store.val_input) == 9


def test_the_same_pictures_for_training_and_testing_are_refused(tree: Path, tmp_path: Path) -> None:
    shutil.rmtree(tree / VAL)
    shutil.copytree(tree / TRAIN, tree / VAL)
    with pytest.raises(DataError, match=r"20 of 20 pairs in .*patches cannot.*20 copy of a training picture"):
        load(tree, tmp_path)


def test_other_and_hidden_files_are_no_pairs(tree: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", "Thumbs.db", "._3.jpg"):
        (tree / TRAIN / "sony" / name).touch()
    store = load(tree, tmp_path)
    assert store.summary["excluded"] == {}
    assert store.summary["ignored"]["not a JPEG file"]["examples"] == ["training_data/sony/notes.txt"]


def test_a_changed_file_is_packed_anew(tree: Path, tmp_path: Path) -> None:
    before = load(tree, tmp_path)
    path = tree / TRAIN / "sony" / "5.jpg"
    save(path, 77)
    after = load(tree, tmp_path)
    assert after.path != before.path
    assert after.fingerprint != before.fingerprint
    os.utime(path, ns=(1, 1))
    touched = load(tree, tmp_path)
    assert touched.path != after.path
    assert touched.fingerprint == after.fingerprint


def test_progress_counts_pairs(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dped, "_CHUNK", 8)
    heard: list[str] = []
    store = open_data(f"dped:{tree}", cache=tmp_path, progress=heard.append)
    counts = [message.split(": ")[1] for message in heard]
    assert counts == [f"{n} of 20 train pairs" for n in (0, 8, 16)] + [f"{n} of 10 val pairs" for n in (0, 8)]
    assert len(store.train_input) == 20


@pytest.mark.skipif(not DPED.is_dir(), reason=f"no real DPED patches in {DPED}")
def test_real_patches(tmp_path: Path) -> None:
    store = load(DPED, tmp_path)
    assert store.train_input.shape == (240, 100, 100, 3)
    assert store.val_target.shape == (60, 100, 100, 3)
    assert store.summary["excluded"] == {}
    names = [f"training_data/{number}.jpg" for number in (103, 177, 221)]
    assert store.summary["identical"] == {"count": 3, "examples": names}
    assert store.train_target.mean() > store.train_input.mean()
    gray = [array.mean(axis=-1).reshape(len(array), -1) for array in (store.val_input, store.val_target)]
    correlations = [np.corrcoef(image, target)[0, 1] for image, target in zip(*gray, strict=True)]
    assert np.median(correlations) > 0.9
