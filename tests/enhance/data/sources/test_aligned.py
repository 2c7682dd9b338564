"""Aligned pairs: every layout from a generated tree, published splits, and bad files among the good."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enhance.data import DataError, PatchStore, open_data
from enhance.data.storage.store import Pixels

SIZE_PX = 16


def noise(seed: int, width_px: int = SIZE_PX, height_px: int = SIZE_PX) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def save(path: Path, seed: int, width_px: int = SIZE_PX, height_px: int = SIZE_PX) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, width_px, height_px)).save(path)


def fill(inputs: Path, targets: Path, numbers: range) -> None:
    """Pairs of one patch each: the input of number n is noise n, its target noise n + 1000."""
    for number in numbers:
        save(inputs / f"{number}.png", number)
        save(targets / f"{number}.png", number + 1000)


def load(where: Path | str, cache: Path) -> PatchStore:
    return open_data(f"aligned:{where}@{SIZE_PX}", cache=cache / "cache")


def check(store: PatchStore, train: range, val: range) -> None:
    assert store.paired
    for split, numbers in (("train", train), ("val", val)):
        assert np.array_equal(getattr(store, f"{split}_input"), [noise(number) for number in numbers])
        assert np.array_equal(getattr(store, f"{split}_target"), [noise(number + 1000) for number in numbers])


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [("low", "high"), ("Low", "Normal"), ("input", "target"), ("input", "expertC"), ("raw", "expertC"), ("lq", "GT"),
     ("A", "B")],
)  # fmt: skip
def test_sides_are_found_by_name_and_the_last_fifth_is_for_validation(
    tmp_path: Path, inputs: str, targets: str
) -> None:
    fill(tmp_path / "set" / inputs, tmp_path / "set" / targets, range(11))
    store = load(tmp_path / "set", tmp_path)
    check(store, range(9), range(9, 11))
    assert store.summary["photographs"] == {"pairs": 11, "usable": 11, "split": "by picture"}
    assert store.spec == f"aligned:{tmp_path / 'set'}@{SIZE_PX}"


@pytest.mark.parametrize("form", ["our485/low our485/high eval15/low eval15/high", "train/A train/B test/A test/B",
                                  "A/train B/train A/val B/val"])  # fmt: skip
def test_published_split_folders_lie_above_or_below(tmp_path: Path, form: str) -> None:
    folders = [tmp_path / "set" / name for name in form.split()]
    fill(folders[0], folders[1], range(3))
    fill(folders[2], folders[3], range(3, 5))
    store = load(tmp_path / "set", tmp_path)
    check(store, range(3), range(3, 5))
    assert store.summary["photographs"]["split"] == "by folder"


def test_where_there_is_a_val_split_the_test_split_stays_unseen(tmp_path: Path) -> None:
    for split, numbers in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 9))):
        fill(tmp_path / "set" / split / "A", tmp_path / "set" / split / "B", numbers)
    store = load(tmp_path / "set", tmp_path)
    check(store, range(3), range(3, 5))
    assert store.summary["ignored"]["kept for a final test, because there is a val split"]["count"] == 4


@pytest.mark.parametrize("split", ["train", None])
def test_halves_of_one_picture_are_a_pair(tmp_path: Path, split: str | None) -> None:
    folder = tmp_path / "set" / split if split else tmp_path / "set"
    folder.mkdir(parents=True)
    for number in range(7):
        both = np.concatenate([noise(number), noise(number + 1000)], axis=1)
        Image.fromarray(both).save(folder / f"{number}.png")
    save(folder / "0.png", 1, 40, 30)
    store = load(tmp_path / "set", tmp_path)
    check(store, range(1, 6), range(6, 7))
    assert store.summary["excluded"]["not side by side"]["count"] == 1


def test_two_folders_and_lists_beside_them(tmp_path: Path) -> None:
    fill(tmp_path / "x", tmp_path / "y", range(6))
    (tmp_path / "train.txt").write_text("0.png\nx/1\n\n2\n3\n")
    (tmp_path / "test.txt").write_text("4.png\r\n3\n")
    store = load(f"{tmp_path / 'x'}:{tmp_path / 'y'}", tmp_path)
    check(store, range(3), range(4, 5))
    assert store.summary["photographs"] == {"pairs": 6, "usable": 4, "split": "by list"}
    assert {reason: entry["count"] for reason, entry in store.summary["excluded"].items()} == {
        "in both lists": 1, "in no list": 1,
    }  # fmt: skip


def test_a_list_alone_leaves_the_others_to_the_other_split(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "A", tmp_path / "set" / "B", range(6))
    (tmp_path / "set" / "test.txt").write_text("4\n5\n")
    check(load(tmp_path / "set", tmp_path), range(4), range(4, 6))


def test_pictures_of_any_size_are_cut_at_the_same_windows(tmp_path: Path) -> None:
    inputs, targets = tmp_path / "set" / "A", tmp_path / "set" / "B"
    fill(inputs, targets, range(6))
    save(inputs / "0.png", 7, 60, 20)
    save(targets / "0.png", 8, 60, 20)
    store = load(tmp_path / "set", tmp_path)
    assert len(store.train_input) == 4 + 2
    assert np.array_equal(store.train_input[1], noise(7, 60, 20)[:SIZE_PX, 40:56])
    assert np.array_equal(store.train_target[1], noise(8, 60, 20)[:SIZE_PX, 40:56])


def test_bad_files_among_the_good_are_named_with_their_reason(tmp_path: Path) -> None:
    inputs, targets = tmp_path / "set" / "low", tmp_path / "set" / "high"
    fill(inputs, targets, range(20))
    save(inputs / "0.png", 0, 32, 16)
    save(inputs / "1.png", 1, 8, 8)
    save(targets / "1.png", 1001, 8, 8)
    (targets / "2.png").write_bytes((targets / "2.png").read_bytes()[:200])
    shutil.copy(inputs / "3.png", targets / "18.png")
    (inputs / "4.png").unlink()
    (inputs / "5.tif").touch()
    store = load(tmp_path / "set", tmp_path)
    assert {reason: entry["count"] for reason, entry in store.summary["excluded"].items()} == {
        "sizes differ": 1, "too small": 1, "unreadable": 1, "copy of a training picture": 1,
    }  # fmt: skip
    differing = store.summary["excluded"]["sizes differ"]["examples"]
    assert differing == [f"{inputs / '0.png'} (input 32x16 px, target 16x16 px; make them equal)"]
    assert store.summary["ignored"]["no partner"]["examples"] == [str(targets / "4.png")]
    assert store.summary["ignored"]["not a JPEG or PNG file (convert pictures to PNG)"]["count"] == 1
    assert len(store.train_input) == 13
    assert np.array_equal(store.val_input, [noise(17), noise(19)])


def test_several_experts_are_listed(tmp_path: Path) -> None:
    fill(tmp_path / "input", tmp_path / "expertA", range(6))
    shutil.copytree(tmp_path / "expertA", tmp_path / "expertC")
    with pytest.raises(DataError, match=r"choose from aligned:.*/input:.*/expertA, aligned:.*/input:.*/expertC"):
        load(tmp_path, tmp_path)
    check(load(f"{tmp_path / 'input'}:{tmp_path / 'expertC'}", tmp_path), range(5), range(5, 6))


def test_a_folder_without_pairs_says_what_is_there_and_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "stuff").mkdir()
    with pytest.raises(DataError, match=r"the folder has 1 subfolders.*\(stuff\); known are folders low/high"):
        load(tmp_path, tmp_path)
    save(tmp_path / "A" / "1.png", 1)
    save(tmp_path / "B" / "2.png", 1)
    with pytest.raises(DataError, match=r"no pictures of equal name: .*/A has 1 \.png; .*/B has 1 \.png"):
        load(tmp_path, tmp_path)


def test_too_few_pairs_and_ordinary_photographs_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "few" / "A", tmp_path / "few" / "B", range(4))
    with pytest.raises(DataError, match="has 4 pairs; without a published split at least 5 are needed"):
        load(tmp_path / "few", tmp_path)
    for number in range(6):
        save(tmp_path / "photos" / f"{number}.png", number, 48, 32)
    with pytest.raises(DataError, match=r"6 of 6 pairs .* cannot be used.*not side by side.*use two folders"):
        load(tmp_path / "photos", tmp_path)


@pytest.mark.parametrize("where", ["{0}:{0}:{0}", "{0}:", "{0}:{0}"])
def test_other_numbers_of_folders_are_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(DataError, match=r"must name one folder or two|must be in two folders"):
        load(where.format(tmp_path), tmp_path)


def test_what_file_managers_leave_behind_is_passed_over_silently(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "A", tmp_path / "set" / "B", range(6))
    clean = load(tmp_path / "set", tmp_path)
    for folder in (tmp_path / "set", tmp_path / "set" / "A"):
        for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._0.png", "@eaDir/0.png/SYNO.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"debris")
    again = load(tmp_path / "set", tmp_path)
    assert again.path == clean.path
    assert again.summary["ignored"] == {}


def test_pictures_beside_split_folders_are_refused(tmp_path: Path) -> None:
    for name in ("train/1.png", "test/2.png", "3.png"):
        save(tmp_path / "set" / name, 1, 32, 16)
    with pytest.raises(DataError, match="pictures beside its split folders"):
        load(tmp_path / "set", tmp_path)
