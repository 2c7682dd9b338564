"""Blur and exposure match independent implementations of their formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance.data.degradations.blur_exposure import Blur, Exposures

RNG = np.random.default_rng(0)


def noise(height_px: int, width_px: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def test_blur_is_the_sum_of_neighbors_with_gaussian_weights() -> None:
    picture = noise(12, 15)
    offsets = np.arange(-4, 5)
    weights = np.exp(-(offsets**2) / 2)
    weights /= weights.sum()
    mirrored = np.pad(picture.astype(float), ((4, 4), (4, 4), (0, 0)), mode="symmetric")
    rows = sum(w * mirrored[4 + o : 16 + o] for o, w in zip(offsets, weights, strict=True))
    expected = sum(w * rows[:, 4 + o : 19 + o] for o, w in zip(offsets, weights, strict=True))
    (blurred,) = Blur().degrade(picture, RNG)
    clear = np.abs(expected % 1 - 0.5) > 1e-3  # float32 may round a tie to either side
    assert clear.mean() > 0.99
    assert blurred.dtype == np.uint8
    assert np.array_equal(blurred[clear], np.rint(expected)[clear])


@pytest.mark.parametrize("sigma_px", [0.6, 1.0, 1.9])
def test_blur_reaches_no_farther_than_it_says(sigma_px: float) -> None:
    picture = np.zeros((41, 41, 3), np.uint8)
    changed = picture.copy()
    changed[20, 20] = 255
    blur = Blur(sigma_px=sigma_px)
    rows = np.nonzero((blur.degrade(changed, RNG)[0] != blur.degrade(picture, RNG)[0]).any(axis=(1, 2)))[0]
    assert 0 < max(20 - rows.min(), rows.max() - 20) <= blur.reach_px


def exposed(value: int, stops: float, steps: int) -> int:
    """One 8-bit value through the camera, by the standard's formulas with Python's own numbers."""
    encoded = value / 255
    light = encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4
    recorded = round(min(1.0, light * 2**stops) * steps) / steps
    stored = 12.92 * recorded if recorded <= 0.0031308 else 1.055 * recorded ** (1 / 2.4) - 0.055
    return round(255 * stored)


def test_exposures_are_light_times_a_power_of_two_clipped_and_rounded() -> None:
    values = np.arange(256, dtype=np.uint8)
    picture = np.stack([values, values[::-1], values], axis=-1)[None]
    pictures = Exposures().degrade(picture, RNG)
    assert len(pictures) == 3
    for image, exposure in zip(pictures, (-2, 0, 2), strict=True):
        assert image.dtype == np.uint8
        assert image.shape == picture.shape
        assert image[0, :, 0].tolist() == [exposed(value, exposure + 0.5, 63) for value in range(256)]
        assert np.array_equal(image[0, :, 1], image[0, ::-1, 0])


def test_every_exposure_loses_something_and_more_light_loses_more_highlights() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    levels = [len(np.unique(image)) for image in Exposures().degrade(values, RNG)]
    clipped = [int((image == 255).all(axis=-1).sum()) for image in Exposures().degrade(values, RNG)]
    assert all(count < 65 for count in levels)  # a sensor of 6 bits
    assert clipped[0] == 0 < clipped[1] < clipped[2]


@settings(max_examples=20)
@given(lost=st.floats(0, 3), bits=st.integers(1, 12), seed=st.integers(0, 99))
def test_exposures_never_change_the_order_of_values(lost: float, bits: int, seed: int) -> None:
    picture = np.sort(noise(3, 50, seed), axis=1)
    for image in Exposures(lost_stops=lost, sensor_bits=bits).degrade(picture, RNG):
        assert (np.diff(image.astype(int), axis=1) >= 0).all()
