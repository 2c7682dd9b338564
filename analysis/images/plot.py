"""Plots of pictures: pixels, error maps on a shared scale, and color histograms."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, INK, VERMILION

ERROR_COLORS = "magma"
"""Its lightness grows evenly, so that it reads the same in gray and to color-blind readers."""

_BIN = 4  # levels; a curve of 256 is noise on a few thousand pixels
_CHANNELS = ("red", "green", "blue")


def plot_picture(axes: Axes, pixels: NDArray[np.uint8], below: str = "", bold: bool = False) -> Axes:
    """A picture (H, W, 3) without interpolation, a line of text `below` it."""
    axes.imshow(pixels, interpolation="none")
    return _strip_axes(axes, below, bold)


def plot_error(axes: Axes, error: NDArray[np.float64], most: float, below: str = "") -> Axes:
    """An error map (H, W) in levels, black at 0; everything from `most` on has the last color."""
    axes.imshow(error, cmap=ERROR_COLORS, vmin=0, vmax=most, interpolation="none")
    return _strip_axes(axes, below, False)


def plot_error_scale(axes: Axes, most: float) -> Axes:
    """The colors of `plot_error` as a bar of its own."""
    mapped = ScalarMappable(Normalize(0, most), ERROR_COLORS)
    bar = axes.figure.colorbar(mapped, cax=axes, extend="max", extendfrac=0.06)
    bar.set_label("levels of 255", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7.5, colors=INK, length=2)
    bar.outline.set_visible(False)
    return axes


def plot_missing(axes: Axes, why: str) -> Axes:
    """An empty place that says why it is empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", fontsize=7.5, color="#777777", wrap=True,
              transform=axes.transAxes)  # fmt: skip
    return _strip_axes(axes, "", False)


def mark_window(axes: Axes, top: int, left: int, side_px: int) -> Axes:
    """Frame a square window of the picture on `axes`."""
    # White below the color, so that the frame shows on any picture.
    for color, width in (("white", 2.4), (VERMILION, 1.2)):
        # `imshow` puts the center of a pixel at whole numbers, so its edge lies half a pixel before.
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), side_px, side_px, fill=False, ec=color, lw=width))
    return axes


def plot_histograms(
    axes: Axes, channel: int, histograms: dict[str, NDArray[np.int64]], notes: str, top_percent: float
) -> Axes:
    """One channel of the color histograms (3, 256) of "input", "output" and "target", those that are there.

    Shares of pixels per `_BIN` levels, in percent, up to `top_percent`; `notes` stand above the axis.
    """
    styles: dict[str, dict[str, Any]] = {
        "input": {"color": VERMILION, "lw": 1.1},
        "target": {"color": INK, "lw": 1.4, "ls": (0, (3, 1.5))},
        "output": {"color": BLUE, "lw": 1.6},
    }
    for name in [name for name in styles if name in histograms]:
        shares = histogram_shares(histograms[name][channel])
        # The order of `styles` draws the output last, on top of the others.
        axes.stairs(shares, np.arange(0, 257, _BIN), label=name, baseline=None, **styles[name])
    axes.set_xlim(0, 256)
    axes.set_xticks([0, 64, 128, 192])
    axes.set_ylim(0, top_percent)
    axes.set_title(notes, loc="right", fontsize=7.5, color="#555555", pad=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#AAAAAA")
    axes.tick_params(colors=INK, length=2, color="#AAAAAA", labelsize=7.5)
    axes.grid(color="#EEEEEE", lw=0.6)
    axes.set_axisbelow(True)
    return axes


def histogram_shares(histogram: NDArray[np.int64]) -> NDArray[np.float64]:
    """A histogram of 256 levels as percentages of its pixels, in bins of `_BIN` levels."""
    shares: NDArray[np.float64] = 100 * histogram.reshape(-1, _BIN).sum(axis=1) / histogram.sum()
    return shares


def channel_name(channel: int) -> str:
    """ "red", "green" or "blue"."""
    return _CHANNELS[channel]


def _strip_axes(axes: Axes, below: str, bold: bool) -> Axes:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(below, fontsize=8, color=INK, labelpad=2.5, fontweight="bold" if bold else "normal")
    return axes
