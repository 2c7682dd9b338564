"""The camera simulator: nothing without a setting, something with each, and nothing farther than it says."""

import dataclasses

import numpy as np
import pytest

from enhance.data.degradations.camera import Camera
from enhance.data.storage.errors import DataError

CHANGED: dict[str, float] = {
    "shift_px": 2.0,
    "max_shift_px": 0.5,
    "blur_px": 1.6,
    "vignetting": 0.5,
    "exposure_stops": 0.3,
    "shot_noise": 0.06,
    "read_noise": 0.02,
    "red_gain": 1.1,
    "blue_gain": 0.9,
    "saturation": 1.2,
    "gamma": 0.9,
    "contrast": 1.1,
    "jpeg_quality": 40,
}


def scene(height_px: int = 160, width_px: int = 240) -> np.ndarray:
    """Smooth colors with blocks and fine texture on them."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:height_px, :width_px]
    smooth = np.stack([rows / height_px, columns / width_px, 1 - rows / height_px], axis=-1) * 150 + 50
    blocks = np.kron(rng.integers(-40, 40, (height_px // 20, width_px // 20, 3)), np.ones((20, 20, 1)))
    texture = rng.integers(-10, 10, (height_px, width_px, 3))
    return np.clip(smooth + blocks + texture, 0, 255).astype(np.uint8)


def take(camera: Camera, image: np.ndarray, seed: int = 0) -> np.ndarray:
    return camera.photograph(image, np.random.default_rng(seed))


def ideal(**changed: float) -> Camera:
    return dataclasses.replace(Camera.ideal(), **changed)


def light(encoded: np.ndarray) -> np.ndarray:
    """sRGB values 0 to 255 in linear light 0 to 1, by the standard's formula."""
    value = np.asarray(encoded, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def test_the_ideal_camera_gives_back_every_value() -> None:
    every = np.arange(256 * 3, dtype=np.uint32).astype(np.uint8).reshape(16, 16, 3)
    for image in (every, scene()):
        assert np.array_equal(take(Camera.ideal(), image), image)


def test_same_seed_same_picture() -> None:
    image = scene()
    first = take(Camera(), image)
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    assert np.array_equal(first, take(Camera(), image))
    assert not np.array_equal(first, take(Camera(), image, seed=1))


def test_every_parameter_is_tried() -> None:
    assert set(CHANGED) == {field.name for field in dataclasses.fields(Camera)}


@pytest.mark.parametrize("name", CHANGED)
def test_every_parameter_moves_the_picture(name: str) -> None:
    start = Camera(shift_px=1.5)
    image = scene()
    assert not np.array_equal(take(start, image), take(dataclasses.replace(start, **{name: CHANGED[name]}), image))


def test_all_problems_come_at_once() -> None:
    with pytest.raises(DataError) as caught:
        Camera(blur_px=-1, shift_px=6, jpeg_quality=101, gamma=float("nan"), saturation="much")  # type: ignore[arg-type]
    message = str(caught.value)
    for words in ("blur_px=-1", "shift_px=6", "from 0 to 5", "jpeg_quality=101", "gamma=nan", "saturation='much'"):
        assert words in message


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_only_photographs_are_taken(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="must be uint8 of shape"):
        take(Camera(), image)


def test_a_picture_of_one_pixel_is_possible() -> None:
    assert take(Camera(), np.full((1, 1, 3), 100, np.uint8)).shape == (1, 1, 3)


def test_exposure_and_gains_scale_linear_light() -> None:
    flat = np.full((20, 20, 3), 150, np.uint8)
    ratio = light(take(ideal(exposure_stops=-1), flat)) / light(flat)
    assert ratio == pytest.approx(0.5, abs=0.01)
    ratio = light(take(ideal(red_gain=0.5, blue_gain=1.5), flat)) / light(flat)
    assert ratio.mean(axis=(0, 1)) == pytest.approx([0.5, 1, 1.5], abs=0.01)


def test_vignetting_takes_its_share_in_the_corners_and_nothing_in_the_middle() -> None:
    flat = np.full((101, 201, 3), 200, np.uint8)
    ratio = light(take(ideal(vignetting=0.4), flat)) / light(flat)
    assert ratio[50, 100] == pytest.approx(1, abs=0.01)
    for corner in (ratio[0, 0], ratio[0, -1], ratio[-1, 0], ratio[-1, -1]):
        assert corner == pytest.approx(0.6, abs=0.01)
    assert ratio[50, 0].mean() > ratio[0, 0].mean()


def test_no_saturation_is_gray_of_equal_luminance() -> None:
    image = scene()
    gray = take(ideal(saturation=0), image)
    assert np.ptp(gray, axis=-1).max() == 0
    luminance = light(image) @ [0.2126, 0.7152, 0.0722]
    assert light(gray)[..., 0] == pytest.approx(luminance, abs=0.005)


def test_gamma_and_contrast_bend_the_encoded_values() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    encoded = np.arange(256) / 255
    assert take(ideal(gamma=1.5), ramp)[0, :, 0] / 255 == pytest.approx(encoded**1.5, abs=0.003)
    expected = np.clip(0.5 + 0.8 * (encoded - 0.5), 0, 1)
    assert take(ideal(contrast=0.8), ramp)[0, :, 0] / 255 == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("value", [120, 188])
def test_noise_has_its_strength_in_linear_light(value: int) -> None:
    flat = np.full((200, 200, 3), value, np.uint8)
    level = light(flat)[0, 0, 0]
    assert light(take(ideal(read_noise=0.03), flat)).std() == pytest.approx(0.03, rel=0.05)
    assert light(take(ideal(shot_noise=0.05), flat)).std() == pytest.approx(0.05 * level**0.5, rel=0.05)


def test_noise_is_the_same_whatever_the_shift() -> None:
    flat = np.full((120, 120, 3), 130, np.uint8)
    assert np.array_equal(take(ideal(read_noise=0.05, shift_px=3), flat), take(ideal(read_noise=0.05), flat))


def test_blur_has_its_width() -> None:
    edge = np.zeros((9, 81, 3), np.uint8)
    edge[:, 41:] = 255
    blurred = light(take(ideal(blur_px=2.5), edge))[4, :, 0]
    spread = np.diff(blurred)
    spread /= spread.sum()
    centre = (spread * np.arange(80)).sum()
    assert ((spread * (np.arange(80) - centre) ** 2).sum()) ** 0.5 == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("name", ["read_noise", "shot_noise", "shift_px"])
def test_everything_random_follows_the_generator(name: str) -> None:
    camera = ideal(**{name: 0.05 if "noise" in name else 2.0})
    assert not np.array_equal(take(camera, scene(), seed=0), take(camera, scene(), seed=1))


@pytest.mark.parametrize("max_shift_px", [1.0, 3.0])
def test_no_point_is_shifted_beyond_the_bound(max_shift_px: float) -> None:
    edge = np.zeros((600, 61, 3), np.uint8)
    edge[:, 30:] = 255  # black up to column 29, white from 30
    camera = ideal(shift_px=5.0, max_shift_px=max_shift_px)
    moved = 0.0
    for seed in range(4):
        picture = light(take(camera, edge, seed))[..., 0]
        reach_px = int(max_shift_px) + 1
        assert picture[:, : 30 - reach_px].max() == 0
        assert picture[:, 30 + reach_px :].min() == 1
        position_px = (1 - picture).sum(axis=1)
        moved = max(moved, np.abs(position_px - 30).max())
    assert 0.6 * max_shift_px < moved <= max_shift_px + 0.05


def test_shifts_are_fractions_of_pixels() -> None:
    edge = np.zeros((600, 61, 3), np.uint8)
    edge[:, 30:] = 255
    position_px = (1 - light(take(ideal(shift_px=1.0), edge))[..., 0]).sum(axis=1)
    assert len(np.unique(position_px.round(2))) > 50


@pytest.mark.parametrize("camera", [Camera(), Camera(shift_px=5, blur_px=3), ideal(blur_px=1), ideal(shift_px=2)])
def test_no_pixel_has_influence_beyond_the_reach(camera: Camera) -> None:
    image = scene(200, 240)
    before = take(camera, image)
    for row, column in ((100, 120), (97, 111), (16, 33)):
        changed = image.copy()
        changed[row, column] ^= 0xFF
        rows, columns = np.nonzero((take(camera, changed) != before).any(axis=-1))
        assert len(rows)
        assert max(np.abs(rows - row).max(), np.abs(columns - column).max()) <= camera.reach_px


def test_the_ideal_camera_reaches_nowhere() -> None:
    assert Camera.ideal().reach_px == 0
