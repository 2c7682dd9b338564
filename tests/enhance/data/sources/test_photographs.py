"""Pairs made of photographs: what is stored is the photograph and what was done to it; the splits share nothing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from enhance.data import DataError, PatchStore, open_data
from enhance.data.degradations.patches import Cut

SPECS = ("photos", "deblur", "exposures")


def picture(seed: int, width_px: int = 420, height_px: int = 260) -> np.ndarray:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 13, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width_px, height_px), Image.Resampling.BICUBIC))


def fill(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def blurred(photograph: np.ndarray) -> np.ndarray:
    channels = [ndimage.gaussian_filter(photograph[..., i].astype(np.float32), 1.0) for i in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def load(kind: str, folder: Path, cache: Path, size: str = "") -> PatchStore:
    return open_data(f"{kind}:{folder}{size}", cache=cache)


def test_deblurring_pairs_are_cut_from_the_blurred_photograph(tmp_path: Path) -> None:
    photograph = picture(1)
    store = load("deblur", fill(tmp_path / "own", [photograph]), tmp_path)
    sharp_and_blurred = photograph, blurred(photograph)
    windows = Cut().windows_of_both(260, 420, margin_px=8)
    for split in ("train", "val"):
        for targets, whole in zip(("target", "input"), sharp_and_blurred, strict=True):
            cut = [whole[top : top + 100, left : left + 100] for top, left in windows[split]]
            assert np.array_equal(getattr(store, f"{split}_{targets}"), cut)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_every_window_gives_three_exposures_in_one_split(tmp_path: Path, count: int) -> None:
    """The order of the values is all that an exposure keeps: the targets of three pairs in a row are one patch."""
    store = load("exposures", fill(tmp_path / "own", [picture(n) for n in range(count)]), tmp_path)
    for split in ("train", "val"):
        targets, inputs = getattr(store, f"{split}_target"), getattr(store, f"{split}_input")
        by_window = targets.reshape(-1, 3, 100, 100, 3)
        assert (by_window == by_window[:, :1]).all()
        brightness = inputs.reshape(-1, 3, 100 * 100 * 3).mean(axis=2)
        assert (np.diff(brightness, axis=1) > 0).all()
    assert not {patch.tobytes() for patch in store.train_target} & {patch.tobytes() for patch in store.val_target}


@pytest.mark.parametrize("size_px", [16, 64, 101])
def test_the_size_of_the_patches_is_chosen_in_the_spec(tmp_path: Path, size_px: int) -> None:
    photograph = picture(1)
    store = load("deblur", fill(tmp_path / "own", [photograph]), tmp_path, f"@{size_px}")
    assert store.spec == f"deblur:{tmp_path / 'own'}@{size_px}"
    assert store.summary["size_px"] == size_px
    assert np.array_equal(store.train_target[0], photograph[:size_px, :size_px])
    assert np.array_equal(store.train_input[0], blurred(photograph)[:size_px, :size_px])


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("longer_px", [400, 440])  # without a margin, a window would end where validation begins
def test_no_pixel_influences_both_splits(tmp_path: Path, kind: str, upright: bool, longer_px: int) -> None:
    """Everything outside of one end of the photograph is changed: that end's split stays, all of the other changes."""
    photograph = picture(1, 260, longer_px) if upright else picture(1, longer_px, 260)
    whole = load(kind, fill(tmp_path / "whole", [photograph]), tmp_path)
    reach_px = {"photos": 25, "deblur": 4, "exposures": 0}[kind]
    border = round(longer_px * 0.65) - reach_px
    for keep, other in (("train", "val"), ("val", "train")):
        edited = photograph.copy()
        along = edited.transpose(1, 0, 2) if upright else edited
        end = along[:, border:] if keep == "train" else along[:, :border]
        end ^= 0x80
        store = load(kind, fill(tmp_path / keep, [edited]), tmp_path)
        for side in ("input", "target"):
            assert np.array_equal(getattr(store, f"{keep}_{side}"), getattr(whole, f"{keep}_{side}"))
            changed = getattr(store, f"{other}_{side}") != getattr(whole, f"{other}_{side}")
            assert changed.any(axis=(1, 2, 3)).all()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_each_photograph_gets_noise_of_its_own(tmp_path: Path, count: int) -> None:
    flat = [np.full((260, 420, 3), 120, np.uint8) for _ in range(count)]
    for number, photograph in enumerate(flat):
        photograph[259, 419] = number  # far from the first patch; otherwise they would be copies
    store = load("photos", fill(tmp_path / "own", flat), tmp_path)
    trained = count if count == 2 else count - 1
    firsts = [*store.train_input[:: len(store.train_input) // trained], store.val_input[0]]
    assert len({patch.tobytes() for patch in firsts}) == trained + 1


@pytest.mark.parametrize("kind", SPECS)
def test_two_packings_have_one_fingerprint(tmp_path: Path, kind: str) -> None:
    folder = fill(tmp_path / "own", [picture(n) for n in range(2)])
    first, second = (load(kind, folder, tmp_path / name) for name in ("a", "b"))
    assert first.path != second.path
    assert first.fingerprint == second.fingerprint
    assert first.path.read_bytes() == second.path.read_bytes()


@pytest.mark.slow
def test_copies_and_misfits_are_left_out_whatever_is_done_to_the_photographs(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", [picture(1), picture(2), picture(1), picture(3, 90, 90)])
    for kind in SPECS:
        excluded = load(kind, folder, tmp_path).summary["excluded"]
        assert {reason: entry["examples"] for reason, entry in excluded.items()} == {
            "copy": ["2.png (of 0.png)"],
            "too small": ["3.png (90x90 px)"],
        }


def test_the_usual_size_has_one_spelling(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", [picture(1)])
    assert load("deblur", folder, tmp_path, "@100").path == load("deblur", folder, tmp_path).path


def test_a_photograph_that_changes_between_its_two_readings_is_refused(
    tmp_path: Path,
) -> None:
    folder = fill(tmp_path / "own", [picture(1)])

    def spoil(message: str) -> None:
        if message.startswith("packing"):
            (folder / "0.png").write_bytes(b"")

    with pytest.raises(DataError, match=r"0\.png in .*own changed while it was being read"):
        open_data(f"deblur:{folder}", cache=tmp_path, progress=spoil)
