"""A heat map of two factors, with the region in which training diverges."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.drawing.style import INK, VERMILION, style_axes
from analysis.statistics.intervals import Floats

DIVERGED = 0.5
"""Cells with at least this rate of divergence form the diverged region."""

_LONG = 9  # letters of a label that must be turned to leave its neighbors room
_LETTER_IN = 0.055  # average width of a letter of a tick label


@dataclass(frozen=True, eq=False)
class Cells:
    """n cells by the numbers of their levels `x` and `y` (n,): `score` (NaN: nothing completed), `rate` (0 to 1)."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    score: Floats
    rate: Floats


def plot_heat(axes: Axes, cells: Cells, across: Sequence[str], up: Sequence[str], labels: tuple[str, str, str]) -> Axes:
    """Plot cells colored by score, hatched where all trials diverged; the diverged region is outlined.

    `across` and `up` are the texts of the levels, `labels` those of x, y and the score. The ends of a bin ("A to B")
    are stacked to save width.
    """
    grid = np.full((len(up), len(across)), np.nan)
    rate = np.full(grid.shape, np.nan)
    grid[cells.y, cells.x], rate[cells.y, cells.x] = cells.score, cells.rate
    # Masked cells stay white; lower origin, so that the second factor grows upward.
    image = axes.imshow(np.ma.masked_invalid(grid), origin="lower", aspect="auto", cmap="viridis")
    for row, column in zip(*np.nonzero(rate > 0), strict=True):
        # Nothing completed here, so there is no score to color the cell by.
        if not np.isfinite(grid[row, column]):
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#F3E3DA", hatch="///",
                                     edgecolor="#D9A88C", lw=0))  # fmt: skip
        axes.text(column, row, f"{100 * rate[row, column]:.0f} %", ha="center", va="center", fontsize=7.5, color=INK,
                  bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 1.2})  # fmt: skip
    _outline(axes, rate >= DIVERGED)
    columns, rows = ([text.replace(" to ", "\n") for text in texts] for texts in (across, up))
    axes.set_xticks(range(len(across)), columns, fontsize=7)
    axes.set_yticks(range(len(up)), rows, fontsize=7)
    # Labels side by side overlap once the longest is wider than a cell.
    cell_in = axes.get_window_extent().width / axes.figure.dpi / len(columns)
    longest = max(len(line) for text in columns for line in text.split("\n"))
    if longest > min(_LONG, cell_in / _LETTER_IN):
        axes.set_xticks(axes.get_xticks(), columns, fontsize=7, rotation=35, ha="right", rotation_mode="anchor")
    style_axes(axes, labels[0], labels[1])
    axes.grid(visible=False)
    if np.isfinite(grid).any():
        _key(axes, image, labels[2])
    return axes


def _outline(axes: Axes, inside: NDArray[np.bool_]) -> None:
    """A line between every two cells of which one is inside, and along the edge of the map where a cell is."""
    # With a rim of cells outside, the edge of the map is a border like any other.
    padded = np.pad(inside, 1)
    rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
    axes.vlines(columns - 0.5, rows - 1.5, rows - 0.5, colors=VERMILION, lw=2.2, zorder=4, clip_on=False)
    rows, columns = np.nonzero(padded[1:] != padded[:-1])
    axes.hlines(rows - 0.5, columns - 1.5, columns - 0.5, colors=VERMILION, lw=2.2, zorder=4, clip_on=False)


def _key(axes: Axes, image: ScalarMappable, label: str) -> None:
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(textwrap.fill(label, 36), fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
