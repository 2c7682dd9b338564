"""The geometry of one pair of photographs: which patches of a phone's and a good camera's picture show the same thing.

After Ignatov et al. 2017 ("DSLR-Quality Photos on Mobile Devices with Deep Convolutional Networks", "Matching
algorithm"; the authors never released their program): SIFT keypoints matched, a homography by RANSAC, both pictures cut
to what they share, the good one reduced to the phone's resolution, a non-overlapping grid of windows, each adjusted by
small shifts and rotations to the highest normalised cross-correlation, and kept where that exceeds 0.9.

One difference. The paper turns and shifts the phone's window. Here that window is shifted by whole pixels only, so that
every input is a plain copy of the phone's pixels, noise and all; the fraction of a pixel and the rotation go, the other
way round, into the target, which the homography resamples in any case (once, bicubic). What lies on what is the same.

Points are (x, y) in pixels, x to the right, y downwards, with pixel centres at whole numbers.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from kornia.feature import SIFTFeatureScaleSpace, match_smnn
from kornia.geometry import RANSAC
from PIL import Image
from torch import Tensor

from enhance.data.store import Pixels

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

DETECTION_SIDE_PX = 1400  # keypoints are sought in a copy of at most this longer side
KEYPOINTS = 4000
MATCH_RATIO = 0.85  # nearest to second nearest descriptor, both ways round
INLIER_PX = 2.0  # in the copies
MIN_MATCHES = 12
# A match of pictures is believed with more than 8 + 0.3 n inliers among n matches (Brown and Lowe 2007, "Automatic
# Panoramic Image Stitching using Invariant Features", section 3.2): unrelated photographs agree by chance, too.
CHANCE_INLIERS, CHANCE_SHARE = 8.0, 0.3

MIN_SCALE, MAX_SCALE = 0.8, 10.0  # pixels of the good picture per phone pixel; with fewer the target would be blown up
MAX_STRETCH = 1.5  # of one direction against the other, at any corner of what both show
MAX_SCALE_RATIO = 2.0  # of the scale at one corner to that at another
MIN_OVERLAP = 0.1  # share of the phone's picture

MIN_CORRELATION = 0.9  # the paper's
MAX_SHIFT_PX = 5  # the paper's
MAX_ANGLE_DEG, ANGLE_STEP_DEG = 3.0, 0.5
FLAT_STD = 2.0  # grey levels of 255; below, the correlation is that of noise

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"
_REACH_PX = MAX_SHIFT_PX + 1  # searched one pixel farther than allowed: a best shift out there tells that it is farther
_BATCH_PIXELS = 48 * 100**2  # of all windows that are adjusted at once
_ROUNDS = 2  # after one, a rotation is still found too small, for the shift was that of the upright window
_PROBE_PX = 4  # the overlap is looked at in every fourth pixel


class AlignmentError(ValueError):
    """A pair of photographs that cannot be aligned: `reason` is a few words to count by, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, eq=False, slots=True)
class Aligned:
    """What one pair of photographs gave.

    inputs, targets: (N, P, P, 3) uint8; an input is a copy of the phone's pixels.
    corners: (N, 2) int64, top and left of each input in the phone's photograph.
    angles_deg: (N,) float64, how far the target was turned against the homography.
    correlations: (N,) float64, of the grey patches as they are here.
    rejected: reason -> how many windows of the grid were left out.
    """

    inputs: Pixels
    targets: Pixels
    corners: npt.NDArray[np.int64]
    angles_deg: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]
    rejected: dict[str, int]


def align(phone: Pixels, dslr: Pixels, patch_px: int = 100) -> Aligned:
    """The patches that two (H, W, 3) uint8 photographs of one scene share, at the phone's resolution.

    Random only by a fixed seed of its own. Raises AlignmentError with one of the reasons "too few matches", "no
    homography", "implausible homography", "overlap too small".
    """
    with torch.inference_mode():
        return cut(phone, dslr, find_homography(phone, dslr), patch_px)


# --- the homography ----------------------------------------------------------------------------------------------


def find_homography(phone: Pixels, dslr: Pixels) -> Matrix:
    """The (3, 3) float64 matrix that takes points of `phone` to points of `dslr`. Raises AlignmentError."""
    (points, descriptors, enlarge), (there, descriptors_there, enlarge_there) = map(_keypoints, (phone, dslr))
    _, pairs = match_smnn(descriptors, descriptors_there, MATCH_RATIO)
    if len(pairs) < MIN_MATCHES:
        raise AlignmentError("too few matches", f"{len(pairs)} keypoints match, at least {MIN_MATCHES} are needed")
    model, inliers = RANSAC("homography", inl_th=INLIER_PX, seed=0)(points[pairs[:, 0]], there[pairs[:, 1]])
    found, needed = int(inliers.sum()), CHANCE_INLIERS + CHANCE_SHARE * len(pairs)
    if found <= needed:
        raise AlignmentError(
            "no homography", f"{found} of {len(pairs)} matches agree, no more than the {needed:.0f} that chance gives"
        )
    homography: Matrix = enlarge_there @ model.numpy() @ np.linalg.inv(enlarge)
    check_plausible(homography, phone.shape, dslr.shape)
    return homography


def _keypoints(photograph: Pixels) -> tuple[Tensor, Tensor, Matrix]:
    """Points (N, 2) in a reduced copy, their descriptors (N, 128), the matrix from the copy to the photograph."""
    height, width = photograph.shape[:2]
    factor = min(1, DETECTION_SIDE_PX / max(height, width))
    image = Image.fromarray(photograph).convert("L")
    copy = image.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.LANCZOS)
    grey = torch.from_numpy(np.array(copy)).to(torch.float32) / 255
    sift = SIFTFeatureScaleSpace(KEYPOINTS, descriptor_backend="pyramid")
    frames, _, descriptors = sift(grey[None, None])
    return frames[0, :, :, 2].double(), descriptors[0], _resizing((copy.width, copy.height), (width, height))


def check_plausible(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> None:
    """Raises AlignmentError where two cameras side by side could not be related by `homography`."""
    inside = _inside(homography, phone_shape, dslr_shape)
    if inside.mean() < MIN_OVERLAP:
        share = f"{inside.mean():.0%} of the phone's picture, at least {MIN_OVERLAP:.0%} is needed"
        raise AlignmentError("overlap too small", share)
    top, bottom, left, right = _box(inside)
    corners = np.array([(x, y) for x in (left, right) for y in (top, bottom)], dtype=np.float64)
    jacobians = _jacobians(homography, corners)
    if (_depths(homography, corners) <= 0).any() or (np.linalg.det(jacobians) <= 0).any():
        raise AlignmentError("implausible homography", "it mirrors the picture or folds it over")
    stretches = np.linalg.svd(jacobians, compute_uv=False)
    scales = np.sqrt(stretches.prod(axis=1))
    if scales.min() < MIN_SCALE or scales.max() > MAX_SCALE:
        raise AlignmentError(
            "implausible homography",
            f"{scales.min():.2f} to {scales.max():.2f} pixels per phone pixel, not {MIN_SCALE} to {MAX_SCALE}",
        )
    if (stretches[:, 0] > MAX_STRETCH * stretches[:, 1]).any() or scales.max() > MAX_SCALE_RATIO * scales.min():
        raise AlignmentError("implausible homography", "it shears or tilts the picture too far")


def _inside(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which of every `_PROBE_PX`-th pixel of the phone's picture the other one shows, too; (rows, columns)."""
    rows, columns = (np.arange(0, side, _PROBE_PX) for side in phone_shape[:2])
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
    inside = _within(homography, points, dslr_shape) & (_depths(homography, points) > 0)
    return inside.reshape(len(rows), len(columns))


def _box(inside: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right pixel of the smallest box around all that is inside."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) * _PROBE_PX for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _resizing(source: tuple[int, int], result: tuple[int, int]) -> Matrix:
    """The matrix from points of a picture of (width, height) `source` to points of it resized to `result`."""
    x, y = (b / a for a, b in zip(source, result, strict=True))
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _depths(homography: Matrix, points: Points) -> npt.NDArray[np.float64]:
    """The third coordinate of every mapped point, positive on the side of the horizon where the first one lies."""
    depths = points @ homography[2, :2] + homography[2, 2]
    return np.asarray(depths * np.sign(depths[len(depths) // 2]))


def transform(homography: Matrix, points: Points) -> Points:
    """(..., 2) points mapped by a (3, 3) homography."""
    mapped = points @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # points on the horizon become infinite, and lie nowhere
        return np.asarray(mapped[..., :2] / mapped[..., 2:])


def _jacobians(homography: Matrix, points: Points) -> Matrix:
    """The (N, 2, 2) derivatives of the homography at (N, 2) points."""
    depths = (points @ homography[2, :2] + homography[2, 2])[:, None, None]
    mapped = transform(homography, points)
    return np.asarray((homography[None, :2, :2] - mapped[:, :, None] * homography[None, None, 2, :2]) / depths)


def _within(homography: Matrix, points: Points, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    x, y = np.moveaxis(transform(homography, points), -1, 0)
    return np.asarray((x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1))


# --- the patches -------------------------------------------------------------------------------------------------


def cut(phone: Pixels, dslr: Pixels, homography: Matrix, patch_px: int = 100) -> Aligned:
    """The patches along a grid of windows, each adjusted by itself. Raises AlignmentError("overlap too small")."""
    windows, outside = _windows(phone.shape, dslr.shape, homography, patch_px)
    target = _Target.reduced(dslr, homography, windows, patch_px)
    pixels, grey = torch.tensor(phone), _grey(_planes(phone))
    count = math.ceil(len(windows) * patch_px**2 / _BATCH_PIXELS)
    parts = [_adjust(pixels, grey, target, batch) for batch in np.array_split(windows, count)]
    inputs, targets, corners, angles, correlations, verdicts = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    kept = verdicts == ""
    rejected = Counter({"outside the overlap": outside} if outside else {})
    rejected.update(verdicts[~kept].tolist())
    return Aligned(inputs[kept], targets[kept], corners[kept], angles[kept], correlations[kept], dict(rejected))


def _windows(
    phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...], homography: Matrix, patch_px: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Top and left of every window (N, 2) that both show with what surrounds it, and how many of the grid they do not.

    The grid covers the box around the overlap, so that a turned picture leaves some windows at its rim outside.
    """
    top, bottom, left, right = _box(_inside(homography, phone_shape, dslr_shape))
    tops, lefts = (
        range(max(first, _REACH_PX), min(last + 1, side - _REACH_PX) - patch_px + 1, patch_px)
        for first, last, side in ((top, bottom, phone_shape[0]), (left, right, phone_shape[1]))
    )
    grid = np.array(list(itertools.product(tops, lefts)), dtype=np.int64).reshape(-1, 2)
    # How far a corner of the target can move when it is turned and shifted, and what bicubic sampling needs.
    margin_px = patch_px / math.sqrt(2) * math.sin(math.radians(MAX_ANGLE_DEG)) + 3
    near, far = -margin_px, patch_px - 1 + margin_px
    corners = np.array([(near, near), (near, far), (far, near), (far, far)])
    within = _within(homography, grid[:, None, ::-1] + corners, dslr_shape).all(axis=1)
    if not within.any():
        raise AlignmentError("overlap too small", f"no window of {patch_px}x{patch_px} px fits into it")
    return grid[within], int((~within).sum())


@dataclass(frozen=True, eq=False, slots=True)
class _Target:
    """The good camera's picture at the phone's resolution, and where the phone's points lie in it."""

    planes: Tensor
    homography: Matrix
    patch_px: int

    @classmethod
    def reduced(cls, dslr: Pixels, homography: Matrix, windows: npt.NDArray[np.int64], patch_px: int) -> "_Target":
        """Reduced by a Lanczos filter, so that nothing aliases; never enlarged."""
        middles = np.asarray(windows[:, ::-1] + patch_px / 2, np.float64)
        scale = max(1, math.sqrt(np.median(np.linalg.det(_jacobians(homography, middles)))))
        size = dslr.shape[1], dslr.shape[0]
        smaller = max(1, round(size[0] / scale)), max(1, round(size[1] / scale))
        picture = np.array(Image.fromarray(dslr).resize(smaller, Image.Resampling.LANCZOS))
        return cls(_planes(picture), _resizing(size, smaller) @ homography, patch_px)

    def patches(self, windows: npt.NDArray[np.int64], fractions: Tensor, angles_deg: Tensor) -> Tensor:
        """(N, 3, P, P) in 0 to 255: the targets of N windows, shifted by (N, 2) px (y, x) and then turned by (N,)."""
        size_px = self.patch_px
        steps = torch.arange(size_px, dtype=torch.float64) - (size_px - 1) / 2
        y = steps[:, None] - fractions[:, 0, None, None]
        x = steps[None, :] - fractions[:, 1, None, None]
        cosine, sine = (f(angles_deg.deg2rad())[:, None, None] for f in (torch.cos, torch.sin))
        turned = torch.stack((cosine * x - sine * y, sine * x + cosine * y), dim=-1)
        middles = torch.from_numpy(windows[:, ::-1] + (size_px - 1) / 2)
        return self._sample(turned + middles[:, None, None, :])

    def _sample(self, points: Tensor) -> Tensor:
        there = torch.from_numpy(transform(self.homography, points.numpy()))
        last = torch.tensor([self.planes.shape[2] - 1, self.planes.shape[1] - 1])
        rows = (2 * there / last - 1).to(torch.float32).flatten(0, 1)[None]  # all windows as one tall picture
        sampled = F.grid_sample(self.planes[None], rows, mode="bicubic", padding_mode="border", align_corners=True)
        return sampled[0].reshape(3, *points.shape[:3]).transpose(0, 1).clamp(0, 255)


_Part = tuple[
    Pixels, Pixels, npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.str_]
]


def _adjust(phone: Tensor, grey: Tensor, target: _Target, windows: npt.NDArray[np.int64]) -> _Part:
    """Inputs, targets, corners, angles and correlations of all windows, and why each is rejected ("" where it is kept).

    First the best shift, then in turns the best rotation at that shift and the best shift at that rotation.
    """
    size_px = target.patch_px
    search = _crops(grey, windows - _REACH_PX, size_px + 2 * _REACH_PX)
    still, upright = torch.zeros(len(windows), 2, dtype=torch.float64), torch.zeros(len(windows), dtype=torch.float64)
    plain = _grey(target.patches(windows, still, upright))
    flat = torch.minimum(plain.std(dim=(1, 2)), _crops(grey, windows, size_px).std(dim=(1, 2))) < FLAT_STD
    shifts, fractions, moved_too_far = best_shift(search, plain)
    for _ in range(_ROUNDS):
        phone_patches = _crops(grey, windows + shifts.numpy(), size_px)
        angles, turned_too_far = _best_angle(phone_patches, target, windows, fractions)
        shifts, fractions, moved_too_far = best_shift(search, _grey(target.patches(windows, still, angles)))
    corners = windows + shifts.numpy()
    targets = target.patches(windows, fractions, angles).round().to(torch.uint8)
    inputs = _crops(phone, corners, size_px)
    found = correlation(_grey(inputs.movedim(-1, 1)), _grey(targets))
    # What is flat has no correlation worth a word, and what does not correlate has no place that could be too far off.
    verdicts = np.select(
        [flat.numpy(), ~(found > MIN_CORRELATION).numpy(), (turned_too_far | moved_too_far).numpy()],
        ["flat", f"correlation below {MIN_CORRELATION}", "displaced too far"],
        default="",
    )
    return inputs.numpy(), targets.movedim(1, -1).numpy(), corners, angles.numpy(), found.numpy(), verdicts


def best_shift(search: Tensor, templates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where each of N templates (N, P, P) lies in its (N, S, S) search area, by normalised cross-correlation.

    Whole pixels (N, 2) int64 as (y, x) from the middle of the area, the fractions beyond them (N, 2) float64 in -0.5 to
    0.5 by a parabola through the neighbours, and whether the best place is at the rim of the area.
    """
    scores = correlations(search, templates)
    side = scores.shape[-1]
    best = scores.flatten(1).argmax(dim=1)
    places = torch.stack((best // side, best % side), dim=1)
    row, column = places.clamp(1, side - 2).unbind(dim=1)
    window = torch.arange(len(scores))
    middle = scores[window, row, column]
    fractions = torch.stack(
        (
            _peak(scores[window, row - 1, column], middle, scores[window, row + 1, column]),
            _peak(scores[window, row, column - 1], middle, scores[window, row, column + 1]),
        ),
        dim=1,
    )
    at_rim = ((places == 0) | (places == side - 1)).any(dim=1)
    return places - side // 2, fractions, at_rim


def correlations(search: Tensor, templates: Tensor) -> Tensor:
    """(N, R, R) float64 normalised cross-correlations, -1 to 1, at all R = S - P + 1 places per axis; 0 where flat."""
    size_px, side = templates.shape[-1], search.shape[-1] - templates.shape[-1] + 1
    centred = templates.double() - templates.double().mean(dim=(1, 2), keepdim=True)
    area = search.double() - search.double().mean(dim=(1, 2), keepdim=True)  # smaller numbers lose fewer digits
    spectrum = torch.fft.rfft2(area) * torch.fft.rfft2(centred, s=area.shape[1:]).conj()
    products = torch.fft.irfft2(spectrum, s=area.shape[1:])[:, :side, :side]
    sums, squares = (_box_sums(values, size_px) for values in (area, area.square()))
    energy = (squares - sums.square() / size_px**2).clamp_min(0) * centred.square().sum(dim=(1, 2), keepdim=True)
    return torch.where(energy > 1e-6, products / energy.clamp_min(1e-6).sqrt(), torch.zeros_like(products))


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """(N,) float64: the normalised cross-correlation of (N, P, P) patches as they lie; 0 where one is flat."""
    a, b = (patches.double() - patches.double().mean(dim=(1, 2), keepdim=True) for patches in (a, b))
    energy = a.square().sum(dim=(1, 2)) * b.square().sum(dim=(1, 2))
    return torch.where(energy > 1e-6, (a * b).sum(dim=(1, 2)) / energy.clamp_min(1e-6).sqrt(), torch.zeros_like(energy))


def _best_angle(
    phone_patches: Tensor, target: _Target, windows: npt.NDArray[np.int64], fractions: Tensor
) -> tuple[Tensor, Tensor]:
    """The angle (N,) in degrees at which each target correlates best with its phone patch, and whether at the limit."""
    count = round(2 * MAX_ANGLE_DEG / ANGLE_STEP_DEG) + 1
    choices = torch.linspace(-MAX_ANGLE_DEG, MAX_ANGLE_DEG, count, dtype=torch.float64)
    scores = torch.stack(
        [
            correlation(phone_patches, _grey(target.patches(windows, fractions, c.expand(len(windows)))))
            for c in choices
        ],
        dim=1,
    )
    best = scores.argmax(dim=1, keepdim=True)
    inner = best.clamp(1, count - 2)
    before, middle, after = (scores.gather(1, inner + step)[:, 0] for step in (-1, 0, 1))
    angles = choices[inner[:, 0]] + ANGLE_STEP_DEG * _peak(before, middle, after)
    return angles, ((best == 0) | (best == count - 1))[:, 0]


def _peak(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    """Where the parabola through three equally spaced values is highest, -0.5 to 0.5 from the middle; 0 if never."""
    bend = before - 2 * middle + after
    place = (before - after) / torch.where(bend < 0, 2 * bend, torch.ones_like(bend))
    return torch.where(bend < 0, place, torch.zeros_like(bend)).clamp(-0.5, 0.5)


def _box_sums(values: Tensor, size_px: int) -> Tensor:
    """The sums over all (size_px, size_px) boxes in (N, S, S) values."""
    total = F.pad(values, (1, 0, 1, 0)).cumsum(dim=1).cumsum(dim=2)
    return (
        total[:, size_px:, size_px:] - total[:, :-size_px, size_px:]
        - total[:, size_px:, :-size_px] + total[:, :-size_px, :-size_px]
    )  # fmt: skip


def _crops(picture: Tensor, corners: npt.NDArray[np.int64], size_px: int) -> Tensor:
    """(N, P, P, ...) copies out of an (H, W, ...) picture, at (N, 2) tops and lefts that must lie in it."""
    return torch.stack([picture[top : top + size_px, left : left + size_px] for top, left in corners.tolist()])


def _planes(picture: Pixels) -> Tensor:
    """(3, H, W) float32, 0 to 255."""
    return torch.tensor(picture).movedim(-1, 0).to(torch.float32).contiguous()


def _grey(colors: Tensor) -> Tensor:
    """(..., H, W) from (..., 3, H, W)."""
    red, green, blue = colors.unbind(dim=-3)
    return _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
