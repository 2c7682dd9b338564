"""Two unpaired sets: each complete and cropped square, with no test picture among the training pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.data import DataError, PatchStore, open_data

FOLDERS = {"trainA": (6, 40, 30), "trainB": (9, 32, 48), "testA": (4, 30, 30), "testB": (5, 64, 40)}
ARRAYS = {"trainA": "train_input", "trainB": "train_target", "testA": "val_input", "testB": "val_target"}
SIZE_PX = 20


def save(path: Path, seed: int, width_px: int, height_px: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width_px, height_px)).convert(mode).save(path, format="JPEG", quality=90)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for start, (name, (count, width_px, height_px)) in enumerate(FOLDERS.items()):
        for number in range(count):
            save(tmp_path / "flowers" / name / f"2013-{number}.jpg", 100 * start + number, width_px, height_px)
    return tmp_path / "flowers"


def load(folder: Path, cache: Path, size: str = f"@{SIZE_PX}") -> PatchStore:
    return open_data(f"unpaired:{folder}{size}", cache=cache)


def square(path: Path) -> np.ndarray:
    """The shorter side at SIZE_PX, then as much taken off one end of the longer side as off the other."""
    with Image.open(path) as image:
        width_px, height_px = image.size
        scale = SIZE_PX / min(width_px, height_px)
        pixels = np.asarray(image.resize((round(width_px * scale), round(height_px * scale)), Image.Resampling.BICUBIC))
    top, left = ((pixels.shape[axis] - SIZE_PX) // 2 for axis in (0, 1))
    return pixels[top : top + SIZE_PX, left : left + SIZE_PX]


def test_each_folder_is_a_side_of_a_split(tree: Path, tmp_path: Path) -> None:
    store = load(tree, tmp_path)
    assert not store.paired
    for name, array in ARRAYS.items():
        expected = [square(tree / name / f"2013-{number}.jpg") for number in range(FOLDERS[name][0])]
        assert np.array_equal(getattr(store, array), expected)
        assert getattr(store, array).dtype == np.uint8
        assert store.summary[array] == FOLDERS[name][0]
    assert store.summary["excluded"] == {}


def test_the_usual_size_is_cyclegans(tree: Path, tmp_path: Path) -> None:
    for start, (name, (count, width_px, height_px)) in enumerate(FOLDERS.items()):
        for number in range(count):
            save(tree / name / f"2013-{number}.jpg", 100 * start + number, 5 * width_px, 5 * height_px)
    store = load(tree, tmp_path, "")
    assert store.train_input.shape == (6, 286, 286, 3)
    assert store.spec == f"unpaired:{tree}"
    assert load(tree, tmp_path, "@286").path == store.path


@pytest.mark.parametrize("source", ["trainA", "trainB"])
@pytest.mark.parametrize("place", ["testA", "testB"])
def test_a_training_picture_in_a_test_folder_is_left_out(tree: Path, tmp_path: Path, source: str, place: str) -> None:
    shutil.copy(tree / source / "2013-3.jpg", tree / place / "again.jpg")
    store = load(tree, tmp_path)
    entry = store.summary["excluded"]["copy of a training picture"]
    assert entry == {"count": 1, "examples": [f"{place}/again.jpg (of {source}/2013-3.jpg)"]}
    assert len(getattr(store, ARRAYS[place])) == FOLDERS[place][0]


def test_training_and_validation_share_no_picture(tree: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copy(tree / "trainA" / f"2013-{number}.jpg", tree / "testA" / f"a{number}.jpg")
    store = load(tree, tmp_path)
    train = {patch.tobytes() for array in (store.train_input, store.train_target) for patch in array}
    val = {patch.tobytes() for array in (store.val_input, store.val_target) for patch in array}
    assert len(train) == 15
    assert len(val) == 9
    assert not train & val


def test_a_test_folder_of_copies_is_refused(tree: Path, tmp_path: Path) -> None:
    for path in (tree / "testA").iterdir():
        shutil.copy(tree / "trainA" / path.name, path)
    with pytest.raises(DataError, match=r"4 of 4 pictures in .*testA cannot be used.*4 copy of a training picture"):
        load(tree, tmp_path)


def test_misfits_are_counted_by_reason(tree: Path, tmp_path: Path) -> None:
    broken = tree / "trainB" / "2013-2.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    save(tree / "testB" / "2013-1.jpg", 7, 30, 30, mode="L")
    (tree / "trainA" / "notes.txt").touch()
    store = load(tree, tmp_path)
    excluded = store.summary["excluded"]
    assert {reason: entry["count"] for reason, entry in excluded.items()} == {"unreadable": 1, "not RGB": 1}
    assert excluded["unreadable"]["examples"][0].startswith("trainB/2013-2.jpg (")
    assert store.summary["ignored"]["not a JPEG file"]["examples"] == ["trainA/notes.txt"]
    assert len(store.train_target) == 8
    assert np.array_equal(store.train_target[2], square(tree / "trainB" / "2013-3.jpg"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_missing_and_an_empty_folder_are_named(tree: Path, tmp_path: Path, name: str) -> None:
    shutil.rmtree(tree / name)
    with pytest.raises(DataError, match=rf"there is no folder .*{name}"):
        load(tree, tmp_path)
    (tree / name).mkdir()
    with pytest.raises(DataError, match=rf"there is no \*\.jpg or \*\.jpeg in .*{name}"):
        load(tree, tmp_path)


def test_a_picture_is_enlarged_no_more_than_twice(tree: Path, tmp_path: Path) -> None:
    save(tree / "trainA" / "2013-0.jpg", 1, 2000, 9)
    save(tree / "trainA" / "2013-1.jpg", 2, 30, 10)
    store = load(tree, tmp_path)
    assert store.summary["excluded"]["too small"]["count"] == 1
    assert store.summary["excluded"]["too small"]["examples"][0].startswith("trainA/2013-0.jpg (2000x9 px")
    assert len(store.train_input) == FOLDERS["trainA"][0] - 1


def test_folders_of_another_format_say_so(tree: Path, tmp_path: Path) -> None:
    for path in (tree / "testB").iterdir():
        path.rename(path.with_suffix(".png"))
    with pytest.raises(DataError, match=r"testB; the folder has 5 \.png"):
        load(tree, tmp_path)


def test_two_packings_have_one_fingerprint_and_a_changed_file_is_packed_anew(tree: Path, tmp_path: Path) -> None:
    first = load(tree, tmp_path / "a")
    assert load(tree, tmp_path / "b").fingerprint == first.fingerprint
    save(tree / "testB" / "2013-0.jpg", 99, 64, 40)
    changed = load(tree, tmp_path / "a")
    assert changed.path != first.path
    assert changed.fingerprint != first.fingerprint
