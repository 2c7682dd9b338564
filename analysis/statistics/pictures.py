"""Measures on pictures (H, W, 3) uint8: error maps, color histograms, and the window with the most detail."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LEVELS = 256


def absolute_error(output: Pixels, target: Pixels) -> Floats:
    """The L1 error map (H, W): |output - target| per pixel, averaged over the three channels, in levels (0 to 255).

    As in a re-implementation of EnhanceGAN (its Figure 4a). Raises ValueError where the shapes differ.
    """
    if output.shape != target.shape:
        raise ValueError(f"output and target must have the same shape, got {output.shape} and {target.shape}")
    # Differences of uint8 would wrap around.
    error: Floats = np.abs(output.astype(np.int16) - target.astype(np.int16)).mean(axis=-1)
    return error


def color_histogram(*pictures: Pixels) -> NDArray[np.int64]:
    """The number of pixels at each level of each channel over all `pictures`: (3, 256), red, green, blue."""
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    return np.stack([np.bincount(pixels[:, channel], minlength=LEVELS) for channel in range(3)])


def histogram_distance(first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
    """The 1-Wasserstein distance between two `color_histogram`s, per channel: (3,), in levels.

    By how many levels the pixels must be shifted on average to turn one distribution into the other: 0 where the
    distributions are equal, wherever the colors lie in the picture; c where one picture is the other brightened by c.
    """
    shares = [histogram.cumsum(axis=1) / histogram.sum(axis=1, keepdims=True) for histogram in (first, second)]
    # In one dimension this distance is the area between the two cumulative distributions.
    distance: Floats = np.abs(shares[0] - shares[1]).sum(axis=1)
    return distance


def detailed_window(picture: Pixels, side_px: int) -> tuple[int, int]:
    """Top and left (px) of the square window with the most detail: the largest mean difference of adjacent pixels.

    Windows start at multiples of a quarter of `side_px`; the first of several ties wins. A picture no larger than the
    window is one window.
    """
    gray = picture.astype(np.float64).mean(axis=-1)
    # Each without the line that the other lacks, so that the shapes agree.
    detail = np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1]
    # A summed-area table, in which any window takes four look-ups.
    sums = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    height, width = sums.shape
    rows, columns = (np.arange(0, max(1, size - side_px), max(1, side_px // 4)) for size in (height, width))
    ends = [np.minimum(starts + side_px, size - 1) for starts, size in ((rows, height), (columns, width))]
    totals = (sums[np.ix_(ends[0], ends[1])] - sums[np.ix_(rows, ends[1])] - sums[np.ix_(ends[0], columns)]) + sums[
        np.ix_(rows, columns)
    ]
    place = np.unravel_index(int(totals.argmax()), totals.shape)
    return int(rows[place[0]]), int(columns[place[1]])
