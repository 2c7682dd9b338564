"""Pictures in numbers: errors pixel by pixel, distributions of color, where detail is. Pictures are (H, W, 3) uint8."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LEVELS = 256


def absolute_error(output: Pixels, target: Pixels) -> Floats:
    """|output - target| of each pixel, the mean of its three channels: (H, W), in levels from 0 to 255.

    The L1 error map of a re-implementation of EnhanceGAN (its Figure 4a). Raises ValueError where the shapes differ.
    """
    if output.shape != target.shape:
        raise ValueError(f"output and target must have one shape, but have {output.shape} and {target.shape}")
    error: Floats = np.abs(output.astype(np.int16) - target.astype(np.int16)).mean(axis=-1)
    return error


def color_histogram(*pictures: Pixels) -> NDArray[np.int64]:
    """How many pixels of all `pictures` have each level of each channel: (3, 256), red, green, blue."""
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    return np.stack([np.bincount(pixels[:, channel], minlength=LEVELS) for channel in range(3)])


def histogram_distance(first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
    """How far the levels of one distribution must be moved on average to give the other: (3,), in levels.

    The 1-Wasserstein distance of each channel, of two histograms as `color_histogram` gives them: 0 where the colors
    are distributed alike, wherever in the picture they are; c where one picture is the other made brighter by c.
    """
    shares = [histogram.cumsum(axis=1) / histogram.sum(axis=1, keepdims=True) for histogram in (first, second)]
    distance: Floats = np.abs(shares[0] - shares[1]).sum(axis=1)
    return distance


def detailed_window(picture: Pixels, side_px: int) -> tuple[int, int]:
    """Top and left of the window of `side_px` with the most detail: the largest mean difference of neighbouring pixels.

    Windows begin at multiples of a quarter of their side; the first of several equal ones is taken. A picture that is
    not larger than the window is one window.
    """
    grey = picture.astype(np.float64).mean(axis=-1)
    detail = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    sums = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = sums.shape
    rows, columns = (np.arange(0, max(1, size - side_px), max(1, side_px // 4)) for size in (height, width))
    ends = [np.minimum(starts + side_px, size - 1) for starts, size in ((rows, height), (columns, width))]
    totals = (sums[np.ix_(ends[0], ends[1])] - sums[np.ix_(rows, ends[1])] - sums[np.ix_(ends[0], columns)]) + sums[
        np.ix_(rows, columns)
    ]
    place = np.unravel_index(int(totals.argmax()), totals.shape)
    return int(rows[place[0]]), int(columns[place[1]])
