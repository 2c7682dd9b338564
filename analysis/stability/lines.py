"""Lines with bands: curves over steps, rates over a parameter, shares over a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from analysis.drawing.style import LINES, log_scale, style_axes
from analysis.statistics.intervals import Floats

_DECADES = 1.5  # positive values that span more are drawn on a log axis


@dataclass(frozen=True, eq=False)
class Line:
    """A named line: `x`, `y`, and the ends of its 95 % band (NaN: none), all (n,); `number` chooses its color."""

    name: str
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    number: int = 0

    @property
    def color(self) -> str:
        """A color that belongs to `number`, so that a line has the same one in all plots of a figure."""
        return LINES[self.number % len(LINES)]

    @property
    def dashes(self) -> str:
        """Dashed once all colors are used up, so that two lines of one color differ."""
        return "-" if self.number < len(LINES) else "--"


def plot_lines(
    axes: Axes, lines: Sequence[Line], x_label: str, y_label: str, marked: bool = True, log_x: bool = False
) -> Axes:
    """Draw lines with their bands; with `marked`, every point is a dot.

    y is logarithmic if all values are positive and span more than a decade and a half. Bands do not count for the
    limits: those of few trials are so wide that the lines would look flat.
    """
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines] or [np.empty(0)])
    log_y = bool(values.size and values.min() > 0 and np.log10(values.max() / values.min()) > _DECADES)
    if log_x:
        log_scale(axes, "x")
    if log_y:
        log_scale(axes, "y")
    for line in lines:
        axes.plot(line.x, line.y, color=line.color, lw=1.4, ls=line.dashes, marker="o" if marked else "", ms=3.5,
                  label=line.name)  # fmt: skip
    # The limits are taken before the bands are drawn, and set again after them.
    axes.autoscale_view()
    limits = axes.get_ylim()
    for line in lines:
        axes.fill_between(line.x, line.low, line.high, color=line.color, alpha=0.13, lw=0)
    axes.set_ylim(limits)
    return style_axes(axes, x_label, y_label)


def plot_rates(axes: Axes, lines: Sequence[Line], x_label: str, y_label: str, log_x: bool) -> Axes:
    """Draw rates (0 to 1) with interval bars; lines are shifted by 3 % on a log axis so that bars do not overlap."""
    if log_x:
        log_scale(axes, "x")
    for number, line in enumerate(lines):
        # A factor on a log axis is the same distance everywhere, and the shifts are centered.
        x = line.x * 1.03 ** (number - (len(lines) - 1) / 2) if log_x else line.x
        axes.vlines(x, line.low, line.high, color=line.color, lw=1.2, alpha=0.6)
        axes.plot(x, line.y, color=line.color, lw=1.4, marker="o", ms=4, label=line.name)
    axes.set_ylim(-0.04, 1.04)
    return style_axes(axes, x_label, y_label)
