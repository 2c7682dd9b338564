"""Own photographs: the right ones taken, the right way up, split without a leak."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from enhance.data import DataError, PatchStore, open_data
from enhance.data.reading.pictures import PictureError, read_picture


def picture(seed: int, width_px: int = 420, height_px: int = 260) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    return coarse.resize((width_px, height_px), Image.Resampling.BICUBIC)


def fill(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        picture(number).save(folder / f"IMG_{number:02}.png")
    return folder


def load(folder: Path, cache: Path) -> PatchStore:
    return open_data(f"photos:{folder}", cache=cache)


def belongs(patch: np.ndarray, photograph: np.ndarray) -> bool:
    """Whether the patch is a part of the photograph."""
    views = np.lib.stride_tricks.sliding_window_view(photograph[..., 0], (100, 100))
    rows, columns = np.nonzero(views[..., 0, 0] == patch[0, 0, 0])
    return any(np.array_equal(photograph[r : r + 100, c : c + 100], patch) for r, c in zip(rows, columns, strict=True))


@pytest.mark.slow
def test_with_five_or_more_whole_photographs_are_kept_for_validation(tmp_path: Path) -> None:
    store = load(fill(tmp_path / "own", 5), tmp_path)
    photographs = [np.asarray(picture(number)) for number in range(5)]
    assert store.summary["photographs"] == {"usable": 5, "split": "by photograph"}
    assert all(belongs(patch, photographs[4]) for patch in store.val_target)
    assert not any(belongs(patch, photographs[4]) for patch in store.train_target)
    assert belongs(store.train_target[0], photographs[0])
    assert belongs(store.train_target[-1], photographs[3])


def test_with_fewer_each_serves_both(tmp_path: Path) -> None:
    store = load(fill(tmp_path / "own", 2), tmp_path)
    photographs = [np.asarray(picture(number)) for number in range(2)]
    assert store.summary["photographs"] == {"usable": 2, "split": "by region"}
    for targets in (store.train_target, store.val_target):
        assert belongs(targets[0], photographs[0])
        assert belongs(targets[-1], photographs[1])
    assert not any(np.array_equal(a, b) for a in store.train_target for b in store.val_target)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    lying = picture(1)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise for viewing
    lying.save(folder / "a.png", exif=exif)
    store = load(folder, tmp_path)
    assert belongs(store.train_target[0], np.rot90(np.asarray(lying), k=-1))


@pytest.mark.slow
def test_large_photographs_are_reduced(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    picture(1, 3200, 2000).save(folder / "a.JPEG", quality=95)
    store = load(folder, tmp_path)
    assert store.summary["train"] == 120
    assert store.summary["val"] == 24


@pytest.mark.slow
def test_misfits_are_named_with_their_reasons(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", 6)
    picture(20, 250, 250).save(folder / "small.jpg")
    picture(21).convert("L").save(folder / "gray.jpg")
    transparent = picture(22).convert("RGBA")
    transparent.putpixel((0, 0), (0, 0, 0, 254))
    transparent.save(folder / "transparent.png")
    picture(0).save(folder / "copy.png")
    (folder / "broken.png").write_bytes((folder / "IMG_01.png").read_bytes()[:5000])
    (folder / "notes.txt").touch()
    (folder / "shot.heic").touch()
    excluded = load(folder, tmp_path).summary["excluded"]
    assert {reason: entry["examples"][0].split()[0] for reason, entry in excluded.items()} == {
        "too small": "small.jpg",
        "not RGB": "gray.jpg",
        "transparent": "transparent.png",
        "copy": "copy.png",
        "unreadable": "broken.png",
    }
    ignored = load(folder, tmp_path).summary["ignored"]["not a JPEG or PNG file"]
    assert ignored == {"count": 2, "examples": ["notes.txt", "shot.heic"]}


def test_an_opaque_alpha_channel_is_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    picture(1).convert("RGBA").save(folder / "a.png")
    assert belongs(load(folder, tmp_path).train_target[0], np.asarray(picture(1)))


def test_more_misfits_than_photographs_are_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", 1)
    for number in range(2):
        picture(number, 80, 80).save(folder / f"small{number}.png")
    with pytest.raises(DataError, match=r"2 of 3 photographs in .*more than 50%: 2 too small \(small0\.png"):
        load(folder, tmp_path)


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"there is no \*\.jpg, \*\.jpeg, \*\.png in .*own"):
        load(tmp_path / "own", tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        load(tmp_path / "absent", tmp_path)


def test_a_folder_without_photographs_says_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for name in ("2012", "2013"):
        (folder / name).mkdir(parents=True)
    for name in ("a.HEIC", "b.heic", "c.dng", "README"):
        (folder / name).touch()
    os.mkfifo(folder / "x.jpg")
    with pytest.raises(DataError) as caught:
        load(folder, tmp_path)
    for fact in ("2 .heic", "1 .dng", "1 without a suffix", "1 special file", "2 subfolders", "(2012, 2013)"):
        assert fact in str(caught.value)


def test_a_named_pipe_is_not_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", 1)
    os.mkfifo(folder / "x.jpg")
    assert load(folder, tmp_path).summary["ignored"]["not a JPEG or PNG file"]["examples"] == ["x.jpg"]
    with pytest.raises(PictureError, match="not a regular file"):
        read_picture(folder / "x.jpg")


def test_a_folder_whose_name_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / os.fsdecode(b"caf\xe9"), 1)
    for link in (folder, tmp_path / "link"):
        if link != folder:
            link.symlink_to(folder)
        with pytest.raises(DataError, match=r"caf\\xe9 is not UTF-8; rename it") as caught:
            load(link, tmp_path)
        str(caught.value).encode()  # can be printed


def test_a_file_whose_name_is_not_utf8_is_used_and_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", 1)
    picture(0).save(folder / os.fsdecode(b"caf\xe9.png"))
    assert load(folder, tmp_path).summary["excluded"]["copy"]["examples"][0] in (
        r"caf\xe9.png (of IMG_00.png)",
        r"IMG_00.png (of caf\xe9.png)",
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["AVIF", "WEBP", "GIF", "TIFF", "BMP"])
def test_another_format_under_a_photographs_name_is_named(tmp_path: Path, form: str) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    picture(0).save(tmp_path / "a.jpg", format=form)
    with pytest.raises(PictureError, match=rf"unreadable: (?i:{form}).*, not JPEG or PNG"):
        read_picture(tmp_path / "a.jpg")
