"""The demo data: strength, cropping as documented, and no leak from training to validation."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enhance.data import DataError, PatchStore, open_data
from enhance.data.degradations.camera import Camera
from enhance.data.degradations.patches import Cut
from enhance.data.kinds import source_of
from enhance.data.sources import demo
from enhance.data.sources.demo import PHOTOGRAPHS, WIDEST_BY_REGION_PX, Bundled, bundled_photograph
from enhance.data.sources.photographs import PhotographPairs
from tests.patience import PATIENCE_S
from tests.places import ROOT

DEMO = PhotographPairs("demo", Bundled())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))


def psnr_db(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    mse = ((image.astype(float) - target) ** 2).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / mse)


@pytest.mark.slow
def test_there_are_a_few_hundred_pairs(store: PatchStore) -> None:
    assert store.spec == "demo"
    assert store.train_input.shape == store.train_target.shape
    assert 200 <= len(store.train_input) <= 500
    assert 48 <= len(store.val_input) <= 64
    assert store.val_target.shape[1:] == (100, 100, 3)
    assert store.summary["train"] == len(store.train_input)
    assert store.summary["degradation"]["jpeg_quality"] == Camera().jpeg_quality


def test_the_phone_is_18_to_22_db_away(store: PatchStore) -> None:
    for image, target in ((store.train_input, store.train_target), (store.val_input, store.val_target)):
        assert 18 <= np.median(psnr_db(image, target)) <= 22


@pytest.mark.slow
def test_most_of_the_distance_is_color_and_tone(store: PatchStore) -> None:
    """One color map for all, fitted on training pairs, brings validation pairs several dB closer."""

    def features(patches: np.ndarray) -> np.ndarray:
        x = patches.reshape(-1, 3).astype(float) / 255
        return np.concatenate([x, x**2, x * np.roll(x, 1, axis=1), np.ones((len(x), 1))], axis=1)

    targets = store.train_target[::5].reshape(-1, 3).astype(float)
    solution = np.linalg.lstsq(features(store.train_input[::5]), targets, rcond=None)[0]
    mapped = (features(store.val_input) @ solution).reshape(store.val_input.shape)
    gain_db = psnr_db(mapped, store.val_target) - psnr_db(store.val_input, store.val_target)
    assert np.median(gain_db) > 5


@pytest.mark.slow
def test_shifts_that_remain_are_small(store: PatchStore) -> None:
    """Best whole-pixel shift by correlation of the central pixels, as DPED's pairs are measured."""
    shifts_px = []
    for image, target in zip(store.val_input.mean(axis=-1), store.val_target.mean(axis=-1), strict=True):
        centre = target[7:93, 7:93] - target[7:93, 7:93].mean()
        scores = {}
        for top in range(15):
            for left in range(15):
                window = image[top : top + 86, left : left + 86]
                scores[top, left] = (centre * (window - window.mean())).sum() / window.std()
        best = max(scores, key=scores.__getitem__)
        shifts_px.append(np.hypot(best[0] - 7, best[1] - 7))
    assert np.mean(np.array(shifts_px) <= 2) > 0.85
    assert 0.2 < np.mean(np.array(shifts_px) > 0) < 0.95


def _edited(share_kept: float, keep: str) -> Callable[[str, int], np.ndarray]:
    """Photographs with everything but one end of their longer side inverted; the border is where neither split is."""

    def load(name: str, max_side_px: int) -> np.ndarray:
        image = bundled_photograph(name, max_side_px).copy()
        upright = image if image.shape[1] >= image.shape[0] else image.transpose(1, 0, 2)
        border = round(upright.shape[1] * share_kept) - Camera().reach_px
        inverted = upright[:, :border] if keep == "val" else upright[:, border:]
        inverted ^= 0xFF
        return image

    return load


@pytest.mark.slow
def test_no_pixel_of_a_photograph_influences_both_splits(
    store: PatchStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_kept = 1 - Cut().val_share
    for keep, other in (("train", "val"), ("val", "train")):
        monkeypatch.setattr(demo, "bundled_photograph", _edited(share_kept, keep))
        edited = open_data("demo", cache=tmp_path / keep)
        for kind in ("input", "target"):
            kept, changed = f"{keep}_{kind}", f"{other}_{kind}"
            assert np.array_equal(getattr(edited, kept), getattr(store, kept))
            assert (getattr(edited, changed) != getattr(store, changed)).any(axis=(1, 2, 3)).all()


def test_every_photograph_gives_to_both_splits() -> None:
    for name in PHOTOGRAPHS:
        photograph = bundled_photograph(name)
        windows = DEMO.pairing.windows_of_both(photograph)
        assert all(windows.values())
        for top, left in windows["train"] + windows["val"]:
            assert 0 <= top <= photograph.shape[0] - 100
            assert 0 <= left <= photograph.shape[1] - 100


def test_the_widest_patch_by_region_is_the_widest_that_has_room_in_each() -> None:
    for size_px, room in ((WIDEST_BY_REGION_PX, True), (WIDEST_BY_REGION_PX + 1, False)):
        pairing = PhotographPairs("demo", Bundled(), cut=Cut(patch_px=size_px)).pairing
        found = [all(pairing.windows_of_both(bundled_photograph(name)).values()) for name in PHOTOGRAPHS]
        assert all(found) is room


@pytest.mark.slow
def test_wider_patches_keep_the_last_photograph_for_validation(tmp_path: Path) -> None:
    store = open_data("demo@256", cache=tmp_path)
    last = bundled_photograph(PHOTOGRAPHS[-1])
    assert store.spec == "demo@256"
    assert store.summary["photographs"] == {"usable": 5, "split": "by photograph"}
    assert len(store.val_target) == 24
    assert np.array_equal(store.val_target[0], last[:256, :256])
    assert np.array_equal(store.train_target[-1][0, 0], bundled_photograph(PHOTOGRAPHS[3])[160, 360])


def test_photographs_smaller_than_a_patch_are_counted(tmp_path: Path) -> None:
    excluded = open_data("deblur:demo@420", cache=tmp_path).summary["excluded"]
    assert excluded["too small"]["count"] == 2
    assert [example.split()[0] for example in excluded["too small"]["examples"]] == ["chelsea.png", "coffee.png"]
    with pytest.raises(DataError, match="4 of 5 photographs in demo cannot be used, more than 50%"):
        open_data("demo@510", cache=tmp_path)


def test_windows_of_an_upright_photograph_are_those_of_the_turned_one() -> None:
    flat = Cut().windows_of_both(300, 500, margin_px=40)
    upright = Cut().windows_of_both(500, 300, margin_px=40)
    assert sorted(upright["val"]) == sorted((left, top) for top, left in flat["val"])
    assert max(left for _, left in flat["train"]) + 100 + 40 <= min(left for _, left in flat["val"])


def test_large_photographs_give_evenly_chosen_windows() -> None:
    windows = Cut(max_train=50).windows(1200, 1600, "train")
    assert len(windows) == len(set(windows)) == 50
    tops, lefts = zip(*windows, strict=True)
    assert (min(tops), max(tops)) == (0, 1080)
    assert max(lefts) - min(lefts) > 1300


def test_targets_are_the_photographs_themselves(store: PatchStore) -> None:
    photograph = bundled_photograph(PHOTOGRAPHS[0])
    top, left = DEMO.pairing.windows_of_both(photograph)["train"][0]
    assert np.array_equal(store.train_target[0], photograph[top : top + 100, left : left + 100])


def test_identity_follows_parameters_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = DEMO.identity()
    assert source_of("demo").identity() == usual
    for changed in ({"degradation": Camera(blur_px=1.1)}, {"seed": 1}, {"cut": Cut(max_train=9)}):
        assert dataclasses.replace(DEMO, **changed).identity() != usual
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    assert DEMO.identity() != usual


def test_a_missing_photograph_is_named() -> None:
    with pytest.raises(DataError, match=r"nothing\.png of scikit-image .* cannot be read"):
        bundled_photograph("nothing.png")


@pytest.mark.slow
def test_opening_data_loads_neither_torch_nor_scikit_image(store: PatchStore) -> None:
    code = (
        "import sys; from pathlib import Path; from enhance.data import open_data; import enhance.data.batches;"
        f"open_data('demo', cache=Path({str(store.path.parent)!r}));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'skimage', 'ray', 'cv2', 'kornia')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=PATIENCE_S).returncode == 0
