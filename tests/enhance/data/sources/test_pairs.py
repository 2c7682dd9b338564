"""Pairs of folders: which files pair up, how they are split, and that an interrupted packing resumes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from enhance.data import DataError, check_spec, open_data
from enhance.data.alignment import pair_jobs
from enhance.data.alignment.pair_jobs import Job, read_result, write_result
from enhance.data.sources import pairs
from enhance.data.sources.demo import bundled_photograph
from enhance.data.sources.pairs import Pairs
from tests.places import ROOT

pytestmark = pytest.mark.slow

SCENES = [("motorcycle_left.png", 60), ("coffee.png", 20), ("astronaut.png", 20), ("motorcycle_left.png", 380),
          ("coffee.png", 320), ("astronaut.png", 260)]  # fmt: skip

# Opens the pairs of two folders in one process of its own, and says whether that has torch.
OPENER = """
import sys
from pathlib import Path
from enhance.data import open_data

def say(message):
    print(message, "torch" in sys.modules, flush=True)

if __name__ == "__main__":
    say(open_data(sys.argv[1], cache=Path(sys.argv[2]), progress=say).fingerprint)
"""


def take(folder: Path, stem: str, number: int) -> None:
    """One scene by two cameras: 250 x 250 px by the good one, a part of it at 0.7 of the size by the phone."""
    name, left = SCENES[number]
    scene = Image.fromarray(bundled_photograph(name)).crop((left, 80, left + 250, 330))
    (folder / "canon").mkdir(parents=True, exist_ok=True)
    (folder / "phone").mkdir(parents=True, exist_ok=True)
    scene.save(folder / "canon" / f"{stem}.png")
    phone = scene.resize((168, 161), Image.Resampling.LANCZOS, box=(6, 8, 246, 238))
    Image.fromarray((np.asarray(phone) * 0.8).astype(np.uint8)).save(folder / "phone" / f"{stem}.png")


@pytest.fixture(scope="session")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six")
    for number in range(6):
        take(folder, f"{number:02}", number)
    return folder


def spec(folder: Path) -> str:
    return f"pairs:{folder / 'phone'}:{folder / 'canon'}@32"


def unheard(message: str) -> None:
    pass


@pytest.fixture
def aligned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Aligns in this process, one by one, and lists the pairs that were."""
    torch.set_num_threads(1)
    stems: list[str] = []

    def here(jobs: Iterable[Job], workers: int) -> Iterator[dict[str, Any]]:
        for job in jobs:
            stems.append(job.stem)
            yield pair_jobs.work(job)

    monkeypatch.setattr(pairs, "in_processes", here)
    return stems


def same_scene(patch: np.ndarray, folder: Path, stem: str) -> bool:
    """Whether a phone's patch is a part of the phone's photograph `stem`."""
    picture = np.asarray(Image.open(folder / "phone" / f"{stem}.png"))
    views = np.lib.stride_tricks.sliding_window_view(picture, patch.shape)
    return bool((views[:, :, 0] == patch).all(axis=(2, 3, 4)).any())


def test_patches_of_both_folders_are_paired_and_split_by_photograph(
    six: Path, tmp_path: Path, aligned: list[str]
) -> None:
    store = open_data(spec(six), cache=tmp_path)
    assert aligned == [f"{number:02}" for number in range(6)]
    assert store.spec == spec(six)
    assert store.summary["photographs"] == {"pairs": 6, "usable": 6, "split": "by photograph"}
    assert store.summary["excluded"] == store.summary["ignored"] == {}
    assert store.train_input.shape[1:] == (32, 32, 3)
    assert all(same_scene(patch, six, "05") for patch in store.val_input)
    assert not any(same_scene(patch, six, "05") for patch in store.train_input)
    assert same_scene(store.train_input[0], six, "00")
    for image, target in zip(store.train_input, store.train_target, strict=True):
        assert np.corrcoef(image.mean(axis=-1).ravel(), target.mean(axis=-1).ravel())[0, 1] > 0.89
        assert abs(target.mean() * 0.8 - image.mean()) < 3
    assert list(tmp_path.glob("pairs-unfinished")) == []


def test_pictures_that_make_no_pair_are_counted(six: Path, tmp_path: Path, aligned: list[str]) -> None:
    folder = tmp_path / "own"
    for number in range(6):
        take(folder, f"{number}", number)
    take(folder, "6", 2)  # a copy of 2
    take(folder, "7", 0)
    (folder / "canon" / "7.png").unlink()
    (folder / "canon" / "8.jpg").write_bytes(b"no picture")
    take(folder, "9", 1)
    Image.open(folder / "phone" / "9.png").save(folder / "phone" / "9.jpg")
    (folder / "phone" / "notes.txt").touch()
    Image.new("RGB", (200, 200), (90, 90, 90)).save(folder / "phone" / "8.png")
    store = open_data(spec(folder), cache=tmp_path)
    summary = store.summary
    assert summary["photographs"]["usable"] == 6
    assert summary["excluded"]["copy"] == {"count": 1, "examples": ["6 (of 2)"]}
    assert summary["excluded"]["unreadable"]["count"] == 1
    assert {reason: entry["count"] for reason, entry in summary["ignored"].items()} == {
        "not a JPEG or PNG file": 1,
        "several pictures with this name": 2,
        "no partner": 2,  # phone/7.png, and canon/9.png, for nobody knows which of the phone's two it belongs to
    }


def test_rejected_windows_are_counted_by_reason(six: Path, tmp_path: Path, aligned: list[str]) -> None:
    folder = tmp_path / "own"
    for number in range(6):
        take(folder, f"{number}", number)
        for side in ("phone", "canon"):
            path = folder / side / f"{number}.png"
            picture = np.array(Image.open(path))
            picture[: len(picture) // 2] = 150
            Image.fromarray(picture).save(path)
    assert open_data(spec(folder), cache=tmp_path).summary["rejected_windows"]["flat"] >= 6 * 4


def test_pairs_that_do_not_belong_together_are_refused(six: Path, tmp_path: Path, aligned: list[str]) -> None:
    folder = tmp_path / "own"
    for number in range(6):
        take(folder, f"{number}", number)
    names = [folder / "canon" / f"{number}.png" for number in range(6)]
    pictures = [path.read_bytes() for path in names]
    for path, picture in zip(names, pictures[1:] + pictures[:1], strict=True):
        path.write_bytes(picture)
    with pytest.raises(DataError, match=r"6 of 6 pairs of photographs .* cannot be used, more than 50%"):
        open_data(spec(folder), cache=tmp_path)


def test_too_few_pairs_are_refused(six: Path, tmp_path: Path, aligned: list[str]) -> None:
    folder = tmp_path / "own"
    for number in range(4):
        take(folder, f"{number}", number)
    with pytest.raises(DataError, match="4 usable pairs of photographs; at least 5 are needed"):
        open_data(spec(folder), cache=tmp_path)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{0}/phone", "write pairs:PHONE_DIR:DSLR_DIR"),
        ("{0}/phone:", "write pairs:PHONE_DIR:DSLR_DIR"),
        ("{0}/a:b:{0}/canon", "no other colon"),
        ("{0}/phone:{0}/none", "there is no folder"),
        ("{0}/phone:{0}/phone", "in two folders, not both in"),
        ("{0}/phone:{0}", "pictures of equal name"),
    ],
)
def test_wrong_folders_are_refused(six: Path, where: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_spec("pairs:" + where.format(six))


def test_a_link_to_a_folder_with_a_colon_is_refused(six: Path, tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a:b")
    with pytest.raises(DataError, match="has a colon in its name"):
        Pairs.find(tmp_path / "link", six / "canon")


def stop_at(count: int) -> Callable[[str], None]:
    def progress(message: str) -> None:
        if f"{count} of 6" in message and "kept" in message:
            raise KeyboardInterrupt

    return progress


def test_what_is_done_is_kept_and_what_is_damaged_is_done_again(six: Path, tmp_path: Path, aligned: list[str]) -> None:
    expected = open_data(spec(six), cache=tmp_path / "other").fingerprint
    aligned.clear()
    with pytest.raises(KeyboardInterrupt):
        open_data(spec(six), cache=tmp_path, progress=stop_at(4))
    assert aligned == ["00", "01", "02", "03"]
    results = sorted((tmp_path / "pairs-unfinished").glob("*.pair"))
    assert len(results) == 4
    raw = bytearray(results[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    results[0].write_bytes(raw)
    results[1].write_bytes(results[1].read_bytes()[:-7])
    aligned.clear()
    assert open_data(spec(six), cache=tmp_path).fingerprint == expected
    assert len(aligned) == 4
    assert {"04", "05"} < set(aligned)
    assert not (tmp_path / "pairs-unfinished").exists()


def test_only_a_pair_that_changed_is_aligned_again(tmp_path: Path, aligned: list[str]) -> None:
    for number in range(6):
        take(tmp_path / "own", f"{number}", number)
    with pytest.raises(KeyboardInterrupt):
        open_data(spec(tmp_path / "own"), cache=tmp_path, progress=stop_at(6))
    aligned.clear()
    take(tmp_path / "own", "3", 3)  # the same pixels at another time
    assert open_data(spec(tmp_path / "own"), cache=tmp_path).summary["train"] > 0
    assert aligned == ["3"]


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 4, 3), dtype=np.uint8)
    report = {"stem": "ä", "excluded": ["unreadable", "..."], "kept": 5, "rejected": {"flat": 2}, "digests": []}
    write_result(tmp_path / "a.pair", pixels[0], pixels[1], report)
    result = read_result(tmp_path / "a.pair")
    assert result is not None
    assert np.array_equal(result[0], pixels[0])
    assert np.array_equal(result[1], pixels[1])
    assert result[2] == report
    assert [path.name for path in tmp_path.iterdir()] == ["a.pair"]
    assert read_result(tmp_path / "b.pair") is None


def test_a_killed_driver_leaves_its_work_and_the_workers_do_not_matter(
    six: Path, tmp_path: Path, aligned: list[str]
) -> None:
    """Real processes: killed after the first pair, started again; neither driver loads torch."""
    command = [sys.executable, "-c", OPENER, spec(six), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        for line in driver.stdout:
            assert line.endswith("False\n")
            if "kept" in line:
                break
        driver.send_signal(signal.SIGKILL)
    again = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert all(line.endswith(" False") for line in again)
    assert len([line for line in again if "patches kept" in line]) <= 5
    here = open_data(spec(six), cache=tmp_path / "here")  # one by one, in this process
    assert again[-1].split()[0] == here.fingerprint
    assert not list(tmp_path.glob("pairs-unfinished/*.pair"))


def test_an_identity_names_everything_that_decides_the_patches(six: Path) -> None:
    source = Pairs.find(six / "phone", six / "canon", 32)
    assert json.dumps(source.identity())
    assert source.identity() != Pairs.find(six / "phone", six / "canon", 48).identity()
    assert Pairs(source.phone, source.dslr, 32, workers=1).identity() == source.identity()
