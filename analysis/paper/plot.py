"""The same things as two sides have them, each pair joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import textalloc
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GREY, INK, VERMILION, scale, style_axes
from analysis.frontier.configurations import staircase
from analysis.statistics.intervals import Floats


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
    """n networks as `theirs` (hollow) and as `ours` (filled), each pair joined by a thin line.

    `labels` (n) stand at ours, or at theirs where we have none, `names` at the axes; x is logarithmic.
    Rows of `ours` that are not finite are networks that we lack: theirs stands alone.
    """
    scale(axes, "x", True)
    pairs = np.stack([np.column_stack([theirs.x, theirs.y]), np.column_stack([ours.x, ours.y])], axis=1)
    axes.add_collection(LineCollection(list(pairs), colors=GREY, linewidths=0.7, alpha=0.6, zorder=1.5))
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
    _labelled(axes, theirs, ours, labels)
    return axes


def _staircase(points: Points) -> tuple[Floats, Floats]:
    on = points.front
    return staircase(points.x[on], points.y[on], maximize_x=False) if on.any() else (points.x[on], points.y[on])


def _labelled(axes: Axes, theirs: Points, ours: Points, labels: Sequence[str]) -> None:
    """The labels where they lie on no point and on no other label; a line leads to a point that is not beside."""
    lacking = ~np.isfinite(ours.x) | ~np.isfinite(ours.y)
    x, y = np.where(lacking, theirs.x, ours.x), np.where(lacking, theirs.y, ours.y)
    axes.margins(0.08)
    axes.autoscale_view()
    textalloc.allocate(
        axes, x, y, list(labels), x_scatter=np.concatenate([theirs.x, x]), y_scatter=np.concatenate([theirs.y, y]),
        textsize=7, textcolor=INK, linecolor=GREY, linewidth=0.5, max_distance=0.3, nbr_candidates=400, zorder=5,
    )  # fmt: skip
