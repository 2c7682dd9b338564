"""Forest plots: a row per estimate with its interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GRAY, INK, style_axes
from analysis.statistics.intervals import Floats


def plot_forest(
    axes: Axes,
    labels: Sequence[str],
    mean: Floats,
    low: Floats,
    high: Floats,
    strong: NDArray[np.bool_],
    x_label: str,
    zero: float | None = 0.0,
    heads: Sequence[int] = (),
) -> Axes:
    """Draw n rows from the top down: a dot at `mean`, a bar from `low` to `high` (NaN: none), blue where `strong`.

    `zero` is the position of a line across all rows (None: no line). `heads` are rows with a thin line above them,
    which separates groups.
    """
    rows = np.arange(len(labels), dtype=np.float64)
    colors = [BLUE if one else GRAY for one in strong]
    # The axis points down, so that the first row is on top as in a table.
    axes.set_ylim(len(labels) - 0.4, -0.6)
    if zero is not None:
        axes.axvline(zero, color=INK, lw=0.9, zorder=1)
    for row in heads:
        axes.axhline(row - 0.5, color="#DDDDDD", lw=0.7, zorder=0.5)
    axes.hlines(rows, low, high, colors=colors, lw=1.8, alpha=0.8, zorder=2)
    axes.scatter(mean, rows, c=colors, s=36, edgecolors="white", linewidths=0.8, zorder=3)
    axes.set_yticks(rows, labels, fontsize=8.5)
    style_axes(axes, x_label, "")
    axes.grid(axis="y", visible=False)
    return axes
