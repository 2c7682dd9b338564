"""The homography between two photographs of one scene: by RANSAC from matched SIFT keypoints, refused if implausible.

Points are (x, y) in pixels, x to the right, y downwards, with pixel centres at whole numbers.
"""

import numpy as np
import numpy.typing as npt
import torch
from kornia.feature import SIFTFeatureScaleSpace, match_smnn
from kornia.geometry import RANSAC
from PIL import Image
from torch import Tensor

from enhance.data.storage.store import Pixels

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

_PROBE_PX = 4  # the overlap is looked at in every fourth pixel


class AlignmentError(ValueError):
    """A pair of photographs that cannot be aligned: `reason` is a few words to count by, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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
    gray = torch.from_numpy(np.array(copy)).to(torch.float32) / 255
    sift = SIFTFeatureScaleSpace(KEYPOINTS, descriptor_backend="pyramid")
    frames, _, descriptors = sift(gray[None, None])
    return frames[0, :, :, 2].double(), descriptors[0], resizing((copy.width, copy.height), (width, height))


def check_plausible(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> None:
    """Raises AlignmentError where two cameras side by side could not be related by `homography`."""
    inside = overlap(homography, phone_shape, dslr_shape)
    if inside.mean() < MIN_OVERLAP:
        share = f"{inside.mean():.0%} of the phone's picture, at least {MIN_OVERLAP:.0%} is needed"
        raise AlignmentError("overlap too small", share)
    top, bottom, left, right = bounding_box(inside)
    corners = np.array([(x, y) for x in (left, right) for y in (top, bottom)], dtype=np.float64)
    derivatives = jacobians(homography, corners)
    if (_depths(homography, corners) <= 0).any() or (np.linalg.det(derivatives) <= 0).any():
        raise AlignmentError("implausible homography", "it mirrors the picture or folds it over")
    stretches = np.linalg.svd(derivatives, compute_uv=False)
    scales = np.sqrt(stretches.prod(axis=1))
    if scales.min() < MIN_SCALE or scales.max() > MAX_SCALE:
        raise AlignmentError(
            "implausible homography",
            f"{scales.min():.2f} to {scales.max():.2f} pixels per phone pixel, not {MIN_SCALE} to {MAX_SCALE}",
        )
    if (stretches[:, 0] > MAX_STRETCH * stretches[:, 1]).any() or scales.max() > MAX_SCALE_RATIO * scales.min():
        raise AlignmentError("implausible homography", "it shears or tilts the picture too far")


def overlap(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which of every `_PROBE_PX`-th pixel of the phone's picture the other one shows, too; (rows, columns)."""
    rows, columns = (np.arange(0, side, _PROBE_PX) for side in phone_shape[:2])
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
    inside = within(homography, points, dslr_shape) & (_depths(homography, points) > 0)
    return inside.reshape(len(rows), len(columns))


def bounding_box(inside: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right pixel of the smallest box around what is `inside`, a mask from `overlap`."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) * _PROBE_PX for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def resizing(source: tuple[int, int], result: tuple[int, int]) -> Matrix:
    """The matrix from points of a picture of (width, height) `source` to points of it resized to `result`."""
    x, y = (b / a for a, b in zip(source, result, strict=True))
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _depths(homography: Matrix, points: Points) -> npt.NDArray[np.float64]:
    """The third coordinate of every mapped point, positive on the side of the horizon where the middle one lies."""
    depths = points @ homography[2, :2] + homography[2, 2]
    return np.asarray(depths * np.sign(depths[len(depths) // 2]))


def transform(homography: Matrix, points: Points) -> Points:
    """(..., 2) points mapped by a (3, 3) homography."""
    mapped = points @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # points on the horizon become infinite, and lie nowhere
        return np.asarray(mapped[..., :2] / mapped[..., 2:])


def jacobians(homography: Matrix, points: Points) -> Matrix:
    """The (N, 2, 2) derivatives of the homography at (N, 2) points."""
    depths = (points @ homography[2, :2] + homography[2, 2])[:, None, None]
    mapped = transform(homography, points)
    return np.asarray((homography[None, :2, :2] - mapped[:, :, None] * homography[None, None, 2, :2]) / depths)


def within(homography: Matrix, points: Points, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which of (..., 2) points `homography` maps into a picture of (H, W, ...) `shape`; (...) bool."""
    x, y = np.moveaxis(transform(homography, points), -1, 0)
    return np.asarray((x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1))
