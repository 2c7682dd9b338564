"""Aligning two photographs of one scene, judged by scenes whose geometry is known."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import transform
from skimage.registration import phase_cross_correlation

from enhance.data.alignment import homography as geometry
from enhance.data.alignment.align import MAX_SHIFT_PX, Aligned, _windows, align, cut
from enhance.data.alignment.correlation import best_shift, correlations
from enhance.data.alignment.homography import AlignmentError, check_plausible, find_homography
from enhance.data.degradations.camera import Camera
from enhance.data.sources.demo import bundled_photograph

pytestmark = pytest.mark.slow

PX = 64


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def scene(name: str = "motorcycle_left.png", width_px: int = 900, height_px: int = 600) -> np.ndarray:
    """The good camera's photograph."""
    picture = Image.fromarray(bundled_photograph(name))
    return np.asarray(picture.resize((width_px, height_px), Image.Resampling.BICUBIC))


def view(angle_deg: float = 2.0, scale: float = 0.6, shift: tuple[float, float] = (7.3, -5.6)) -> np.ndarray:
    """The homography from the good camera's photograph to the phone's, with a little perspective."""
    cosine, sine = scale * np.cos(np.radians(angle_deg)), scale * np.sin(np.radians(angle_deg))
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]], [2e-5, -1e-5, 1]])


def seen(photograph: np.ndarray, homography: np.ndarray, scale: float, size: tuple[int, int]) -> np.ndarray:
    """What a perfect camera sees of `photograph`: (rows, columns) `size`, by scikit-image; no code under test."""
    rows, columns = round(photograph.shape[0] * scale), round(photograph.shape[1] * scale)
    soft = transform.resize(photograph, (rows, columns), anti_aliasing=True)
    x, y = columns / photograph.shape[1], rows / photograph.shape[0]
    shrink = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    warped = transform.warp(soft, shrink @ np.linalg.inv(homography), output_shape=size, order=3)
    return np.rint(255 * warped.clip(0, 1)).astype(np.uint8)


def phone(perfect: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same in poor colors, with blur, noise and JPEG."""
    return Camera(shift_px=0).photograph(perfect, np.random.default_rng(seed))


def residuals_px(aligned: Aligned, perfect: np.ndarray) -> np.ndarray:
    """How far each target lies from what a perfect camera has at the place of its input."""
    size_px = aligned.inputs.shape[1]
    return np.array(
        [
            np.hypot(
                *phase_cross_correlation(
                    perfect[top : top + size_px, left : left + size_px].mean(axis=-1),
                    target.mean(axis=-1),
                    upsample_factor=20,
                )[0]
            )
            for (top, left), target in zip(aligned.corners, aligned.targets, strict=True)
        ]
    )


@pytest.mark.parametrize(("angle_deg", "scale"), [(2.0, 0.6), (-4.0, 0.5), (1.0, 0.8)])
def test_a_known_homography_is_found_again(angle_deg: float, scale: float) -> None:
    truth = view(angle_deg, scale)
    size = round(560 * scale), round(840 * scale)
    photograph = scene()
    found = find_homography(phone(seen(photograph, truth, scale, size)), photograph)
    points = np.array([(x, y) for x in np.linspace(20, size[1] - 20, 6) for y in np.linspace(20, size[0] - 20, 5)])
    back = geometry.transform(truth, geometry.transform(found, points))
    errors_px = np.linalg.norm(back - points, axis=1)
    assert errors_px.mean() < 0.2
    assert errors_px.max() < 0.6


def test_patches_show_the_same_and_inputs_are_copies() -> None:
    truth, photograph = view(), scene()
    perfect = seen(photograph, truth, 0.6, (340, 510))
    picture = phone(perfect)
    aligned = align(picture, photograph, PX)
    assert len(aligned.inputs) >= 10
    assert (aligned.correlations > 0.9).all()
    for image, (top, left) in zip(aligned.inputs, aligned.corners, strict=True):
        assert np.array_equal(image, picture[top : top + PX, left : left + PX])
    assert residuals_px(aligned, perfect).max() < 0.5
    assert np.abs(aligned.angles_deg).max() < 0.5


def test_windows_do_not_overlap_but_for_their_shifts() -> None:
    truth, photograph = view(), scene()
    aligned = align(phone(seen(photograph, truth, 0.6, (340, 510))), photograph, PX)
    apart = np.abs(aligned.corners[:, None] - aligned.corners[None]).max(axis=-1)
    assert apart[~np.eye(len(apart), dtype=bool)].min() >= PX - 2 * MAX_SHIFT_PX


def moved(homography: np.ndarray, shift: tuple[float, float] = (0, 0), angle_deg: float = 0) -> np.ndarray:
    """`homography` (phone to good camera) with an error: phone points shifted, and turned about (130, 130)."""
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cosine, -sine, 130 - 130 * cosine + 130 * sine], [sine, cosine, 130 - 130 * sine - 130 * cosine]])
    return homography @ np.vstack([turn[0] + (0, 0, shift[0]), turn[1] + (0, 0, shift[1]), (0, 0, 1)])


@pytest.fixture(scope="module")
def square() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A perfect phone picture of 260 px, the good one, and the homography from the one to the other."""
    truth, photograph = view(shift=(-100, -60)), scene()
    return seen(photograph, truth, 0.6, (260, 260)), photograph, np.linalg.inv(truth)


@pytest.mark.parametrize("shift", [(3, -2), (-4.4, 1.3), (0.5, 0.5)])
def test_a_shift_that_the_homography_missed_is_found(
    square: tuple[np.ndarray, np.ndarray, np.ndarray], shift: tuple[float, float]
) -> None:
    perfect, photograph, homography = square
    aligned = cut(phone(perfect), photograph, moved(homography, shift), PX)
    assert len(aligned.inputs) >= 4
    assert residuals_px(aligned, perfect).max() < 0.5
    # Windows stand PX apart, so all inputs are shifted alike against the grid: by whole pixels, against `shift`.
    straight = cut(phone(perfect), photograph, homography, PX)
    assert np.abs(aligned.corners[0] - straight.corners[0] - np.array(shift)[::-1]).max() <= 1


@pytest.mark.parametrize("angle_deg", [-2.2, 1.5])
def test_a_rotation_that_the_homography_missed_is_found(
    square: tuple[np.ndarray, np.ndarray, np.ndarray], angle_deg: float
) -> None:
    perfect, photograph, homography = square
    aligned = cut(phone(perfect), photograph, moved(homography, angle_deg=angle_deg), PX)
    assert len(aligned.inputs) >= 4
    assert np.abs(aligned.angles_deg + angle_deg).max() < 0.3
    assert residuals_px(aligned, perfect).max() < 0.5


@pytest.mark.parametrize(("shift", "angle_deg"), [((9, 0), 0), ((0, 0), 6)])
def test_what_lies_too_far_off_is_rejected(
    square: tuple[np.ndarray, np.ndarray, np.ndarray], shift: tuple[float, float], angle_deg: float
) -> None:
    perfect, photograph, homography = square
    aligned = cut(phone(perfect), photograph, moved(homography, shift, angle_deg), PX)
    assert len(aligned.inputs) == 0
    assert set(aligned.rejected) <= {"correlation below 0.9", "displaced too far", "outside the overlap"}
    assert sum(aligned.rejected.values()) >= 9


def test_a_flat_sky_is_rejected_as_flat() -> None:
    photograph, truth = scene().copy(), np.diag([0.6, 0.6, 1.0])
    photograph[:350] = 170
    aligned = align(phone(seen(photograph, truth, 0.6, (360, 540))), photograph, PX)
    assert aligned.rejected["flat"] >= 3 * 7  # rows of the sky, columns
    assert (aligned.corners[:, 0] > 350 * 0.6 - PX).all()


def test_windows_outside_the_other_picture_are_counted() -> None:
    photograph = scene()
    whole = phone(seen(photograph, view(), 0.6, (340, 510)))
    aligned = align(whole, photograph[:, :600], PX)
    assert aligned.corners[:, 1].max() + PX < 600 * 0.6 + 15
    assert aligned.rejected["outside the overlap"] > 0


@pytest.mark.parametrize("shape", [(720, 1220, 3), (714, 1214, 3)])
def test_a_picture_of_the_same_frame_loses_no_row_and_no_column(shape: tuple[int, int, int]) -> None:
    """12 x 7 windows of 100 px, with room on all sides for what a turn of the target takes."""
    windows, outside = _windows(shape, shape, np.eye(3), 100)
    assert len(windows) == 12 * 7
    assert outside == 0


def test_where_all_windows_fit_the_grid_starts_at_the_corner() -> None:
    windows, outside = _windows((300, 300, 3), (400, 400, 3), np.array([[1.0, 0, 50], [0, 1, 50], [0, 0, 1]]), PX)
    assert windows[0].tolist() == [6, 6]
    assert outside == 0


def test_unrelated_photographs_are_refused() -> None:
    with pytest.raises(AlignmentError) as caught:
        align(scene("coffee.png", 500, 400), scene("rocket.jpg", 700, 500), PX)
    assert caught.value.reason in ("too few matches", "no homography")


def test_matches_that_agree_by_chance_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "MATCH_RATIO", 1.0)  # hundreds of wrong matches; some always fit one homography
    with pytest.raises(AlignmentError, match=r"no homography: [1-9]\d* of \d+ matches agree"):
        find_homography(scene("coffee.png", 500, 400), scene("rocket.jpg", 700, 500))


def test_resizing_keeps_the_borders_where_they_are() -> None:
    borders = np.array([(-0.5, -0.5), (99.5, 79.5)])  # outer corners of 100 x 80 pixels
    found = geometry.transform(geometry.resizing((100, 80), (60, 20)), borders)
    assert found == pytest.approx(np.array([(-0.5, -0.5), (59.5, 19.5)]))


def test_pictures_without_keypoints_are_refused() -> None:
    gray = np.full((300, 300, 3), 90, np.uint8)
    with pytest.raises(AlignmentError, match="too few matches"):
        align(gray, gray, PX)


@pytest.mark.parametrize(
    ("homography", "reason"),
    [
        (np.array([[-1.0, 0, 299], [0, 1, 0], [0, 0, 1]]), "implausible homography: it mirrors"),
        (np.array([[1.0, 0.9, -130], [0, 1, 0], [0, 0, 1]]), "implausible homography: it shears"),
        (np.diag([0.5, 0.5, 1.0]), "implausible homography: 0.50 to 0.50 pixels per phone pixel"),
        (np.diag([12.0, 12.0, 1.0]), "implausible homography: 12.00"),
        (np.array([[1.0, 0, 280], [0, 1, 0], [0, 0, 1]]), "overlap too small: 7%"),
    ],
)
def test_what_two_cameras_side_by_side_cannot_be_is_refused(homography: np.ndarray, reason: str) -> None:
    with pytest.raises(AlignmentError, match=reason):
        check_plausible(homography, (300, 300, 3), (300, 300, 3) if homography[0, 0] < 2 else (3600, 3600, 3))


def test_a_window_larger_than_the_overlap_is_refused() -> None:
    picture = scene(width_px=300, height_px=200)
    with pytest.raises(AlignmentError, match=r"overlap too small: .* 190x190"):
        cut(picture, picture, np.eye(3), 190)


def test_correlations_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    search, templates = rng.normal(100, 20, (2, 14, 14)), rng.normal(50, 9, (2, 9, 9))
    found = correlations(torch.from_numpy(search), torch.from_numpy(templates)).numpy()
    assert found.shape == (2, 6, 6)
    for n, y, x in np.ndindex(2, 6, 6):
        expected = np.corrcoef(search[n, y : y + 9, x : x + 9].ravel(), templates[n].ravel())[0, 1]
        assert found[n, y, x] == pytest.approx(expected, abs=1e-9)


def test_the_best_shift_is_where_the_template_was_taken() -> None:
    search = torch.from_numpy(np.random.default_rng(1).normal(100, 20, (3, 20, 20)))
    templates = torch.stack([search[0, 5:15, 5:15], search[1, 3:13, 8:18], search[2, 0:10, 6:16]])
    shifts, fractions, at_rim = best_shift(search, templates)
    assert shifts.tolist() == [[0, 0], [-2, 3], [-5, 1]]
    assert fractions.abs().max() <= 0.5
    assert at_rim.tolist() == [False, False, True]


def test_two_runs_are_equal_and_global_generators_are_left_alone() -> None:
    photograph = scene()
    picture = phone(seen(photograph, view(), 0.6, (340, 510)))
    first = align(picture, photograph, PX)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 - the global generator is what is watched
    states = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    second = align(picture, photograph, PX)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    for name in ("inputs", "targets", "corners", "angles_deg", "correlations"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert first.rejected == second.rejected
