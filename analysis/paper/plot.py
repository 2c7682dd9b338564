"""A paper's networks and ours in one plot, each pair joined by a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GRAY, INK, VERMILION, scale, style_axes
from analysis.frontier.configurations import staircase
from analysis.statistics.intervals import Floats

_MARK_PT = 4.0  # half the width of a point's mark
_GAP_PX = 5  # between two labels
_ANGLES = np.radians([40, 140, 320, 220, 65, 115, 245, 295, 90, 270, 0, 180])  # clear of the bars first
_OFFSETS_PT = np.array(
    [((out + 16) * np.cos(turn), (out + 5) * np.sin(turn)) for out in (6, 14, 24, 36, 50, 66) for turn in _ANGLES]
)
"""Where a label may stand, nearest first: on ellipses, since labels are wider than high."""


@dataclass(frozen=True, eq=False)
class Points:
    """n networks by time x and quality y, with the ends of intervals (NaN: none), and which of them are the front."""

    name: str
    x: Floats
    y: Floats
    front: NDArray[np.bool_]
    x_low: Floats
    x_high: Floats
    y_low: Floats
    y_high: Floats


def plot_pairs(axes: Axes, theirs: Points, ours: Points, labels: Sequence[str], names: tuple[str, str]) -> Axes:
    """Plot n networks as `theirs` (hollow) and `ours` (filled), each pair joined by a thin line; x is logarithmic.

    `labels` (n) are placed at ours, or at theirs for networks that we lack (rows of `ours` that are not finite);
    `names` are the labels of the two axes.
    """
    scale(axes, "x", True)
    pairs = np.stack([np.column_stack([theirs.x, theirs.y]), np.column_stack([ours.x, ours.y])], axis=1)
    axes.add_collection(LineCollection(list(pairs), colors=GRAY, linewidths=0.7, alpha=0.6, zorder=1.5))
    flat = np.stack([np.column_stack([ours.x_low, ours.y]), np.column_stack([ours.x_high, ours.y])], axis=1)
    tall = np.stack([np.column_stack([ours.x, ours.y_low]), np.column_stack([ours.x, ours.y_high])], axis=1)
    for bars in (flat, tall):
        axes.add_collection(LineCollection(list(bars), colors=BLUE, linewidths=0.8, alpha=0.5, zorder=2))
    for points, color, face, size in ((theirs, VERMILION, "white", 6.5), (ours, BLUE, BLUE, 6.5)):
        front = points.front
        axes.plot(*_staircase(points), color=color, lw=1.4, alpha=0.45, zorder=1)
        axes.plot(points.x[front], points.y[front], "o", ms=size, mfc=face, mec=color, mew=1.3, ls="", zorder=4,
                  label=f"{points.name}, on its front")  # fmt: skip
        axes.plot(points.x[~front], points.y[~front], "o", ms=size - 2, mfc=face, mec=color, mew=0.9, ls="", zorder=3,
                  alpha=0.75, label=points.name)  # fmt: skip
    style_axes(axes, *names)
    _label(axes, theirs, ours, labels)
    return axes


def _staircase(points: Points) -> tuple[Floats, Floats]:
    on = points.front
    return staircase(points.x[on], points.y[on], maximize_x=False) if on.any() else (points.x[on], points.y[on])


def _label(axes: Axes, theirs: Points, ours: Points, labels: Sequence[str]) -> None:
    """Put each label in the free spot nearest to its point; a thin line leads to one farther away."""
    missing = ~np.isfinite(ours.x) | ~np.isfinite(ours.y)
    x, y = np.where(missing, theirs.x, ours.x), np.where(missing, theirs.y, ours.y)
    # Labels are placed in pixels, so the limits must be final first.
    axes.margins(0.08)
    axes.autoscale_view()
    dot_px = axes.figure.dpi / 72
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": INK, "zorder": 5}
    line = {"arrowstyle": "-", "color": GRAY, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
    marks = axes.transData.transform(np.column_stack([np.append(theirs.x, x), np.append(theirs.y, y)]))
    taken = _boxes(marks, 2 * _MARK_PT * dot_px, 2 * _MARK_PT * dot_px)
    # From left to right, so that the picture does not depend on the order of the rows.
    for row in np.lexsort((y, x)):
        trial = axes.text(x[row], y[row], labels[row], **style)
        size = trial.get_window_extent()
        trial.remove()
        point = axes.transData.transform((x[row], y[row]))
        spots = _boxes(point + dot_px * _OFFSETS_PT, size.width + _GAP_PX, size.height)
        outside = (size.width + _GAP_PX) * size.height - _shared(spots, np.reshape(axes.bbox.extents, (1, 4)))[:, 0]
        # The first free spot. Where none is, the one with the least overlap: a crowded label beats a missing one.
        # In whole pixels, or the rounding of two zeros would decide.
        best = int(np.argmin(np.rint(outside + _shared(spots, taken).sum(axis=1))))
        taken = np.vstack([taken, spots[best]])
        axes.annotate(labels[row], (x[row], y[row]), xytext=tuple(_OFFSETS_PT[best]), textcoords="offset points",
                      arrowprops=line if best >= len(_ANGLES) else None, **style)  # fmt: skip


def _boxes(centers: Floats, width: float, height: float) -> Floats:
    """Left, bottom, right and top (n, 4) of boxes around their centers (n, 2)."""
    half = np.array([width, height]) / 2
    return np.hstack([centers - half, centers + half])


def _shared(one: Floats, other: Floats) -> Floats:
    """The area (n, m) that each of n boxes (n, 4) shares with each of m others."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    area: Floats = np.clip(high - low, 0, None).prod(axis=2)
    return area
