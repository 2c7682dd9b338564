"""LDR-HDR pairs: read, normalize, resized and cut alike, and split by scene."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from enhance.data import DataError, PatchStore, open_data
from enhance.data.sources.hdr import INPUTS, normalize, read_radiance, windows

cv2 = pytest.importorskip("cv2")

SIZE_PX = 16


def light(seed: int, width_px: int = 48, height_px: int = 32) -> np.ndarray:
    """Smooth linear light with a range of about ten stops, in a unit that differs from scene to scene."""
    coarse = np.random.default_rng(seed).normal(0, 2, (4, 6, 3)).astype(np.float32)
    channels = [Image.fromarray(coarse[..., i]).resize((width_px, height_px)) for i in range(3)]
    return (10.0**seed % 97 + 1) * 2 ** np.stack([np.asarray(channel) for channel in channels], axis=-1)


def save_hdr(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1], np.float32))


def save_ldr(path: Path, pixels: np.ndarray, stops: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exposed = np.clip(pixels / np.median(pixels) / 4 * 2**stops, 0, 1) ** (1 / 2.2)
    Image.fromarray((255 * exposed).astype(np.uint8)).save(path, quality=95)


def add_scene(folder: Path, number: str, pixels: np.ndarray) -> None:
    save_hdr(folder / "HDR" / f"HDR_{number}.hdr", pixels)
    for name, stops in zip(INPUTS, (-2, 0, 2), strict=True):
        save_ldr(folder / name / f"LDR_{number}.jpg", pixels, stops)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Six scenes with gaps in their numbers."""
    for seed, number in enumerate(("001", "002", "007", "010", "177", "201")):
        add_scene(tmp_path / "pairs", number, light(seed))
    return tmp_path / "pairs"


def load(folder: Path, cache: Path, size: str = f"@{SIZE_PX}") -> PatchStore:
    return open_data(f"hdr:{folder}{size}", cache=cache)


def expected_target(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The target once more, in float64 but for the resizing."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.float64)
    in_order = np.sort(pixels.ravel())
    place = 0.999 * (in_order.size - 1)
    below = int(place)
    white = in_order[below] + (place - below) * (in_order[below + 1] - in_order[below])
    linear = np.clip(pixels / white, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)
    channels = [Image.fromarray(encoded[..., i]).resize(size, Image.Resampling.LANCZOS) for i in range(3)]
    return 65535 * np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 1)


def test_every_exposure_is_a_pair_with_the_normalized_hdr_picture(tree: Path, tmp_path: Path) -> None:
    store = load(tree, tmp_path)
    assert store.paired
    assert store.train_input.dtype == np.uint8
    assert store.train_target.dtype == np.uint16
    assert store.summary["scenes"] == {"train": 5, "val": 1}
    assert len(store.train_input) == 5 * 3 * 2  # 24x16 px: two windows
    assert len(store.val_input) == 3 * 2
    target = expected_target(tree / "HDR" / "HDR_001.hdr", (24, 16))
    for exposure, name in enumerate(INPUTS):
        with Image.open(tree / name / "LDR_001.jpg") as opened:
            image = np.asarray(opened.resize((24, 16), Image.Resampling.LANCZOS))
        for window, left in enumerate((0, 8)):
            at = 2 * exposure + window
            assert np.array_equal(store.train_input[at], image[:, left : left + 16])
            assert np.abs(store.train_target[at] - target[:, left : left + 16]).max() <= 1.5


def test_no_scene_is_in_both_splits(tree: Path, tmp_path: Path) -> None:
    store = load(tree, tmp_path)
    for side in ("input", "target"):
        train, val = ({patch.tobytes() for patch in getattr(store, f"{split}_{side}")} for split in ("train", "val"))
        assert not train & val
    assert np.abs(store.val_target[0] - expected_target(tree / "HDR" / "HDR_201.hdr", (24, 16))[:, :16]).max() <= 1.5


def test_two_packings_have_one_fingerprint(tree: Path, tmp_path: Path) -> None:
    assert load(tree, tmp_path / "a").fingerprint == load(tree, tmp_path / "b").fingerprint


def test_the_share_of_validation_scenes_is_the_papers(tmp_path: Path) -> None:
    for seed in range(18):
        add_scene(tmp_path / "pairs", f"{seed:03}", light(seed, 16, 16))
    assert load(tmp_path / "pairs", tmp_path).summary["scenes"] == {"train": 16, "val": 2}  # 20 of 176 are 2.05 of 18


def test_what_cannot_be_used_is_counted_by_pair(tree: Path, tmp_path: Path) -> None:
    (tree / INPUTS[0] / "LDR_001.jpg").unlink()
    (tree / "HDR" / "HDR_002.hdr").unlink()
    broken = tree / INPUTS[1] / "LDR_007.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    save_ldr(tree / INPUTS[2] / "LDR_007.jpg", light(2, 32, 48), 2)
    (tree / "HDR" / "notes.txt").touch()
    (tree / INPUTS[0] / "LDR_1b.jpg").touch()
    store = load(tree, tmp_path)
    excluded = store.summary["excluded"]
    assert {reason: entry["count"] for reason, entry in excluded.items()} == {
        "no partner": 4,
        "unreadable": 1,
        "different shape": 1,
    }
    assert excluded["no partner"]["examples"] == [
        "LDR_exposure_-2/LDR_001 (missing in LDR_exposure_-2)",
        *(f"{name}/LDR_002 (missing in HDR)" for name in INPUTS),
    ]
    ignored = store.summary["ignored"]["no scene number in the name"]
    assert ignored == {"count": 2, "examples": ["HDR/notes.txt", "LDR_exposure_-2/LDR_1b.jpg"]}
    assert len(store.train_input) == (5 * 3 - 6) * 2


def test_a_scene_that_is_there_twice_counts_once(tree: Path, tmp_path: Path) -> None:
    add_scene(tree, "300", light(0))  # would be the validation scene
    add_scene(tree, "301", light(20))
    store = load(tree, tmp_path)
    assert store.summary["excluded"]["copy"]["count"] == 3
    assert store.summary["excluded"]["copy"]["examples"][0] == "LDR_exposure_-2/LDR_300 (of scene 001)"


def test_an_exposure_that_is_another_scenes_is_left_out(tree: Path, tmp_path: Path) -> None:
    (tree / INPUTS[1] / "LDR_201.jpg").write_bytes((tree / INPUTS[1] / "LDR_001.jpg").read_bytes())
    assert load(tree, tmp_path).summary["excluded"]["copy"]["examples"] == ["LDR_exposure_0/LDR_201 (of scene 001)"]


@pytest.mark.parametrize("content", [b"", b"no picture", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 40 +X 60\n\x02"])
def test_a_broken_hdr_picture_costs_its_three_pairs(tree: Path, tmp_path: Path, content: bytes) -> None:
    (tree / "HDR" / "HDR_007.hdr").write_bytes(content)
    store = load(tree, tmp_path)
    assert store.summary["excluded"]["unreadable"]["count"] == 3
    assert "HDR_007.hdr is not a complete Radiance file" in store.summary["excluded"]["unreadable"]["examples"][0]


def test_a_black_and_a_small_picture_are_left_out(tree: Path, tmp_path: Path) -> None:
    save_hdr(tree / "HDR" / "HDR_007.hdr", np.zeros((32, 48, 3)))
    save_hdr(tree / "HDR" / "HDR_010.hdr", light(3, 15, 15))
    excluded = load(tree, tmp_path).summary["excluded"]
    assert {reason: entry["count"] for reason, entry in excluded.items()} == {"black": 3, "too small": 3}


def test_more_than_half_left_out_is_refused(tree: Path, tmp_path: Path) -> None:
    for number in ("001", "002", "007", "010"):
        (tree / "HDR" / f"HDR_{number}.hdr").unlink()
    with pytest.raises(DataError, match=r"12 of 18 pairs in .*more than 50%: 12 no partner"):
        load(tree, tmp_path)


def test_missing_folders_and_scenes_are_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there is no folder .*empty/HDR"):
        load(tmp_path / "empty", tmp_path)
    for name in ("HDR", *INPUTS):
        (tmp_path / "empty" / name).mkdir()
    with pytest.raises(DataError, match=r"at least two scenes: HDR/HDR_NNN\.hdr with LDR_NNN\.jpg"):
        load(tmp_path / "empty", tmp_path)


def test_without_opencv_the_extra_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DataError, match=r"pip install 'teststrip\[hdr\]'"):
        load(tree, tmp_path)


def test_radiance_is_read_as_rgb(tmp_path: Path) -> None:
    save_hdr(tmp_path / "a.hdr", np.broadcast_to(np.array([4.0, 2.0, 0.5]), (8, 9, 3)))
    assert np.allclose(read_radiance(tmp_path / "a.hdr"), [4.0, 2.0, 0.5])


@given(factor=st.floats(1e-3, 1e4), seed=st.integers(0, 50))
def test_normalizing_does_not_depend_on_the_unit_of_light(factor: float, seed: int) -> None:
    pixels = light(seed % 5).astype(np.float32)
    assert np.abs(normalize(pixels) - normalize(pixels * np.float32(factor))).max() < 1e-5


def test_a_single_reflection_does_not_darken_the_rest() -> None:
    pixels = light(1, 60, 60).astype(np.float32)
    shining = pixels.copy()
    shining[30, 30] = 1e5
    assert np.median(normalize(shining)) > 0.9 * np.median(normalize(pixels))


@given(longer=st.integers(0, 200), size=st.integers(1, 40), upright=st.booleans())
def test_windows_cover_the_longer_side_with_as_few_as_can_be(longer: int, size: int, upright: bool) -> None:
    shape = (size + longer, size) if upright else (size, size + longer)
    covered = np.zeros(shape, int)
    found = windows((*shape, 3), size)
    for here in found:
        assert covered[here].shape == (size, size)
        covered[here] += 1
    assert covered.min() >= 1
    assert len(found) == -(-(size + longer) // size)
