"""The homography between two photographs of one scene: RANSAC on matched SIFT keypoints, with a plausibility check.

Points are (x, y) in pixels, x to the right, y down, with pixel centers at integers.
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

DETECTION_SIDE_PX = 1400  # keypoints are detected in a copy whose longer side is at most this
KEYPOINTS = 4000
MATCH_RATIO = 0.85  # largest ratio of the nearest to the second-nearest descriptor, checked in both directions
INLIER_PX = 2.0  # in the copies
MIN_MATCHES = 12
# n matches need more than 8 + 0.3 n inliers (Brown and Lowe 2007, "Automatic Panoramic Image Stitching using Invariant
# Features", section 3.2), because unrelated photographs agree to some extent by chance.
CHANCE_INLIERS, CHANCE_SHARE = 8.0, 0.3

MIN_SCALE, MAX_SCALE = 0.8, 10.0  # good-camera pixels per phone pixel; with fewer, the target would be enlarged
MAX_STRETCH = 1.5  # largest ratio of the scales in two directions, at any corner of the overlap
MAX_SCALE_RATIO = 2.0  # largest ratio of the scales at two corners
MIN_OVERLAP = 0.1  # share of the phone's picture

_PROBE_PX = 4  # the overlap is sampled at every fourth pixel


class AlignmentError(ValueError):
    """A pair of photographs that cannot be aligned; `reason` is a short label for counting, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def find_homography(phone: Pixels, dslr: Pixels) -> Matrix:
    """The (3, 3) float64 matrix that maps points of `phone` to points of `dslr`. Raises AlignmentError."""
    (points, descriptors, enlarge), (there, descriptors_there, enlarge_there) = map(_keypoints, (phone, dslr))
    _, pairs = match_smnn(descriptors, descriptors_there, MATCH_RATIO)
    if len(pairs) < MIN_MATCHES:
        raise AlignmentError("too few matches", f"{len(pairs)} keypoints match; at least {MIN_MATCHES} are needed")
    model, inliers = RANSAC("homography", inl_th=INLIER_PX, seed=0)(points[pairs[:, 0]], there[pairs[:, 1]])
    found, needed = int(inliers.sum()), CHANCE_INLIERS + CHANCE_SHARE * len(pairs)
    if found <= needed:
        raise AlignmentError(
            "no homography", f"{found} of {len(pairs)} matches agree; {needed:.0f} may do so by chance"
        )
    homography: Matrix = enlarge_there @ model.numpy() @ np.linalg.inv(enlarge)
    # RANSAC saw the reduced copies; this undoes both reductions.
    check_plausible(homography, phone.shape, dslr.shape)
    return homography


def _keypoints(photograph: Pixels) -> tuple[Tensor, Tensor, Matrix]:
    """Keypoints (N, 2) of a reduced copy, their descriptors (N, 128), and the matrix from the copy to the original."""
    height, width = photograph.shape[:2]
    factor = min(1, DETECTION_SIDE_PX / max(height, width))
    image = Image.fromarray(photograph).convert("L")
    copy = image.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.LANCZOS)
    gray = torch.from_numpy(np.array(copy)).to(torch.float32) / 255
    sift = SIFTFeatureScaleSpace(KEYPOINTS, descriptor_backend="pyramid")
    frames, _, descriptors = sift(gray[None, None])
    return frames[0, :, :, 2].double(), descriptors[0], resizing((copy.width, copy.height), (width, height))


def check_plausible(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> None:
    """Raise AlignmentError if `homography` cannot relate two cameras side by side."""
    inside = overlap(homography, phone_shape, dslr_shape)
    if inside.mean() < MIN_OVERLAP:
        share = f"{inside.mean():.0%} of the phone's picture; at least {MIN_OVERLAP:.0%} is needed"
        raise AlignmentError("overlap too small", share)
    top, bottom, left, right = bounding_box(inside)
    corners = np.array([(x, y) for x in (left, right) for y in (top, bottom)], dtype=np.float64)
    derivatives = jacobians(homography, corners)
    # A negative determinant mirrors; a depth that changes sign folds the picture over at the horizon.
    if (_depths(homography, corners) <= 0).any() or (np.linalg.det(derivatives) <= 0).any():
        raise AlignmentError("implausible homography", "it mirrors or folds the picture")
    # The singular values of the Jacobian are the scales along the most and the least stretched direction.
    stretches = np.linalg.svd(derivatives, compute_uv=False)
    scales = np.sqrt(stretches.prod(axis=1))
    if scales.min() < MIN_SCALE or scales.max() > MAX_SCALE:
        raise AlignmentError(
            "implausible homography",
            f"{scales.min():.2f} to {scales.max():.2f} pixels per phone pixel; it must be {MIN_SCALE} to {MAX_SCALE}",
        )
    if (stretches[:, 0] > MAX_STRETCH * stretches[:, 1]).any() or scales.max() > MAX_SCALE_RATIO * scales.min():
        raise AlignmentError("implausible homography", "it shears or tilts the picture too far")


def overlap(homography: Matrix, phone_shape: tuple[int, ...], dslr_shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which pixels of the phone's picture, one in `_PROBE_PX` per axis, `dslr` shows too: (rows, columns) bool."""
    rows, columns = (np.arange(0, side, _PROBE_PX) for side in phone_shape[:2])
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
    inside = within(homography, points, dslr_shape) & (_depths(homography, points) > 0)
    return inside.reshape(len(rows), len(columns))


def bounding_box(inside: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right pixel of the bounding box of a mask from `overlap`."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) * _PROBE_PX for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def resizing(source: tuple[int, int], result: tuple[int, int]) -> Matrix:
    """The matrix that maps points of a picture when it is resized from (width, height) `source` to `result`."""
    x, y = (b / a for a, b in zip(source, result, strict=True))
    # Pixel centers are at integers, so edges are at -0.5 and scaling is about that corner.
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _depths(homography: Matrix, points: Points) -> npt.NDArray[np.float64]:
    """The homogeneous coordinate of each mapped point, positive on the side of the horizon where the middle one is."""
    depths = points @ homography[2, :2] + homography[2, 2]
    return np.asarray(depths * np.sign(depths[len(depths) // 2]))


def transform(homography: Matrix, points: Points) -> Points:
    """Map (..., 2) points by a (3, 3) homography."""
    mapped = points @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # points on the horizon become infinite, inside no picture
        return np.asarray(mapped[..., :2] / mapped[..., 2:])


def jacobians(homography: Matrix, points: Points) -> Matrix:
    """The (N, 2, 2) Jacobians of the homography at (N, 2) points."""
    depths = (points @ homography[2, :2] + homography[2, 2])[:, None, None]
    mapped = transform(homography, points)
    return np.asarray((homography[None, :2, :2] - mapped[:, :, None] * homography[None, None, 2, :2]) / depths)


def within(homography: Matrix, points: Points, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which of (..., 2) points `homography` maps into a picture of shape (H, W, ...): (...) bool."""
    x, y = np.moveaxis(transform(homography, points), -1, 0)
    return np.asarray((x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1))
