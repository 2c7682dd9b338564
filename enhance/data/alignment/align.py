"""Aligning a pair of photographs: which patches of a phone's and a good camera's picture show the same thing.

Follows Ignatov et al. 2017 ("DSLR-Quality Photos on Mobile Devices with Deep Convolutional Networks", "Matching
algorithm"; the authors never released their program): match SIFT keypoints; fit a homography by RANSAC; crop both
pictures to their overlap; reduce the good one to the phone's resolution; cut a grid of non-overlapping windows; adjust
each by small shifts and rotations for the highest normalized cross-correlation; and keep it if that exceeds 0.9.

There is one difference. The paper shifts and rotates the phone's window. Here that window moves by whole pixels only,
so that every input is an exact copy of the phone's pixels, noise included. The fractional shift and the rotation are
applied, inverted, to the target, which the homography resamples anyway (once, bicubic). Relative to each other, input
and target end up in the same place.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from enhance.data.alignment.correlation import best_shift, correlation, parabola_peak
from enhance.data.alignment.homography import (
    AlignmentError,
    Matrix,
    bounding_box,
    find_homography,
    jacobians,
    overlap,
    resizing,
    transform,
    within,
)
from enhance.data.storage.store import Pixels

MIN_CORRELATION = 0.9  # the paper's
MAX_SHIFT_PX = 5  # the paper's
MAX_ANGLE_DEG, ANGLE_STEP_DEG = 3.0, 0.5
FLAT_STD = 2.0  # in gray levels of 255; in flatter patches the correlation is one of noise

_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"
_REACH_PX = MAX_SHIFT_PX + 1  # one pixel more than allowed: a best shift at the rim means that the true one is farther
_BATCH_PIXELS = 48 * 100**2  # in all windows that are adjusted at once, to bound the memory
_ROUNDS = 2  # the first finds too small a rotation, because its shift is that of the unrotated window


@dataclass(frozen=True, eq=False, slots=True)
class Aligned:
    """The result for one pair of photographs.

    inputs, targets: (N, P, P, 3) uint8; inputs are copies of the phone's pixels.
    corners: (N, 2) int64, top and left of each input in the phone's photograph.
    angles_deg: (N,) float64, rotation of each target relative to the homography.
    correlations: (N,) float64, of the grayscale patches as returned.
    rejected: number of rejected windows of the grid, by reason.
    """

    inputs: Pixels
    targets: Pixels
    corners: npt.NDArray[np.int64]
    angles_deg: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]
    rejected: dict[str, int]


def align(phone: Pixels, dslr: Pixels, patch_px: int = 100) -> Aligned:
    """Cut the patches shared by two (H, W, 3) uint8 photographs of one scene, at the phone's resolution.

    Deterministic: RANSAC has a fixed seed. Raises AlignmentError with one of the reasons "too few matches", "no
    homography", "implausible homography", "overlap too small".
    """
    with torch.inference_mode():
        return cut(phone, dslr, find_homography(phone, dslr), patch_px)


def cut(phone: Pixels, dslr: Pixels, homography: Matrix, patch_px: int = 100) -> Aligned:
    """Cut the patches along a grid, adjusting each window on its own. Raises AlignmentError("overlap too small")."""
    windows, outside = _windows(phone.shape, dslr.shape, homography, patch_px)
    target = _Target.from_photograph(dslr, homography, windows, patch_px)
    pixels, gray = torch.tensor(phone), _gray(_planes(phone))
    count = math.ceil(len(windows) * patch_px**2 / _BATCH_PIXELS)
    parts = [_adjust(pixels, gray, target, batch) for batch in np.array_split(windows, count)]
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
    """Top and left (N, 2) of the windows visible in both pictures, with some margin, and the number of the others.

    The grid covers the bounding box of the overlap and starts where most of its windows fit: rotation and shift take
    the target beyond its window, so a grid from the very corner would lose its first row and column. If one picture is
    rotated, some windows at the rim are outside.
    """
    top, bottom, left, right = bounding_box(overlap(homography, phone_shape, dslr_shape))
    # How far rotation and shift can move a corner of the target, plus the pixels that bicubic sampling needs.
    margin_px = patch_px / math.sqrt(2) * math.sin(math.radians(MAX_ANGLE_DEG)) + 3
    near, far = -margin_px, patch_px - 1 + margin_px
    corners = np.array([(near, near), (near, far), (far, near), (far, far)])
    best = np.zeros((0, 2), np.int64), 0
    for down, aside in itertools.product(range(math.ceil(margin_px) + 1), repeat=2):
        tops, lefts = (
            range(max(first + step, _REACH_PX), min(last + 1, side - _REACH_PX) - patch_px + 1, patch_px)
            for first, step, last, side in ((top, down, bottom, phone_shape[0]), (left, aside, right, phone_shape[1]))
        )
        grid = np.array(list(itertools.product(tops, lefts)), dtype=np.int64).reshape(-1, 2)
        shown = within(homography, grid[:, None, ::-1] + corners, dslr_shape).all(axis=1)
        if shown.sum() > len(best[0]):
            best = grid[shown], int((~shown).sum())
        if len(grid) and shown.all():  # no later start gives more
            break
    if not len(best[0]):
        raise AlignmentError("overlap too small", f"it has no room for a window of {patch_px}x{patch_px} px")
    return best


@dataclass(frozen=True, eq=False, slots=True)
class _Target:
    """The good camera's picture at the phone's resolution, and the homography from the phone's points to it."""

    planes: Tensor
    homography: Matrix
    patch_px: int

    @classmethod
    def from_photograph(
        cls, dslr: Pixels, homography: Matrix, windows: npt.NDArray[np.int64], patch_px: int
    ) -> "_Target":
        """Reduce the photograph with a Lanczos filter, to avoid aliasing; never enlarge it."""
        middles = np.asarray(windows[:, ::-1] + patch_px / 2, np.float64)
        scale = max(1, math.sqrt(np.median(np.linalg.det(jacobians(homography, middles)))))
        # The Jacobian's determinant is the change of area; its root is the scale along one axis.
        size = dslr.shape[1], dslr.shape[0]
        smaller = max(1, round(size[0] / scale)), max(1, round(size[1] / scale))
        picture = np.array(Image.fromarray(dslr).resize(smaller, Image.Resampling.LANCZOS))
        return cls(_planes(picture), resizing(size, smaller) @ homography, patch_px)

    def patches(self, windows: npt.NDArray[np.int64], fractions: Tensor, angles_deg: Tensor) -> Tensor:
        """(N, 3, P, P) in [0, 255]: the targets of N windows, shifted by (N, 2) px (y, x), then rotated by (N,) deg."""
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


def _adjust(phone: Tensor, gray: Tensor, target: _Target, windows: npt.NDArray[np.int64]) -> _Part:
    """Inputs, targets, corners, angles, correlations, and the reason to reject each window ("" to keep it).

    Finds the best shift first, then alternates between the best rotation at that shift and the best shift at that
    rotation.
    """
    size_px = target.patch_px
    search = _crops(gray, windows - _REACH_PX, size_px + 2 * _REACH_PX)
    still, upright = torch.zeros(len(windows), 2, dtype=torch.float64), torch.zeros(len(windows), dtype=torch.float64)
    plain = _gray(target.patches(windows, still, upright))
    flat = torch.minimum(plain.std(dim=(1, 2)), _crops(gray, windows, size_px).std(dim=(1, 2))) < FLAT_STD
    shifts, fractions, moved_too_far = best_shift(search, plain)
    for _ in range(_ROUNDS):
        phone_patches = _crops(gray, windows + shifts.numpy(), size_px)
        angles, turned_too_far = _best_angle(phone_patches, target, windows, fractions)
        shifts, fractions, moved_too_far = best_shift(search, _gray(target.patches(windows, still, angles)))
    corners = windows + shifts.numpy()
    targets = target.patches(windows, fractions, angles).round().to(torch.uint8)
    inputs = _crops(phone, corners, size_px)
    found = correlation(_gray(inputs.movedim(-1, 1)), _gray(targets))
    # In this order: flat patches have no meaningful correlation, and uncorrelated ones no meaningful displacement.
    verdicts = np.select(
        [flat.numpy(), ~(found > MIN_CORRELATION).numpy(), (turned_too_far | moved_too_far).numpy()],
        ["flat", f"correlation below {MIN_CORRELATION}", "displaced too far"],
        default="",
    )
    return inputs.numpy(), targets.movedim(1, -1).numpy(), corners, angles.numpy(), found.numpy(), verdicts


def _best_angle(
    phone_patches: Tensor, target: _Target, windows: npt.NDArray[np.int64], fractions: Tensor
) -> tuple[Tensor, Tensor]:
    """The angle (N,) in degrees at which each target correlates best, and whether it is at the limit (N,)."""
    count = round(2 * MAX_ANGLE_DEG / ANGLE_STEP_DEG) + 1
    choices = torch.linspace(-MAX_ANGLE_DEG, MAX_ANGLE_DEG, count, dtype=torch.float64)
    scores = torch.stack(
        [
            correlation(phone_patches, _gray(target.patches(windows, fractions, c.expand(len(windows)))))
            for c in choices
        ],
        dim=1,
    )
    best = scores.argmax(dim=1, keepdim=True)
    # At the limit, fit the parabola through the last three angles.
    inner = best.clamp(1, count - 2)
    before, middle, after = (scores.gather(1, inner + step)[:, 0] for step in (-1, 0, 1))
    angles = choices[inner[:, 0]] + ANGLE_STEP_DEG * parabola_peak(before, middle, after)
    return angles, ((best == 0) | (best == count - 1))[:, 0]


def _crops(picture: Tensor, corners: npt.NDArray[np.int64], size_px: int) -> Tensor:
    """(N, P, P, ...) copies from an (H, W, ...) picture at (N, 2) tops and lefts, which must lie inside it."""
    return torch.stack([picture[top : top + size_px, left : left + size_px] for top, left in corners.tolist()])


def _planes(picture: Pixels) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) float32 in [0, 255]."""
    return torch.tensor(picture).movedim(-1, 0).to(torch.float32).contiguous()


def _gray(colors: Tensor) -> Tensor:
    """(..., 3, H, W) to (..., H, W)."""
    red, green, blue = colors.unbind(dim=-3)
    return _GRAY[0] * red + _GRAY[1] * green + _GRAY[2] * blue
