"""Plots of a front of two objectives, and of a ranking by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GRAY, LINES, PAPER, RUST, SKY, VERMILION, scale, style_axes
from analysis.frontier.configurations import staircase
from analysis.statistics.intervals import Floats

_LABEL_PT = (24.0, 15.0)  # width and height that one number label may need


@dataclass(frozen=True, eq=False)
class Dimension:
    """One objective for plotting: n configurations with their intervals (NaN: none), and the references.

    `stopped` (m,) are the last values of the stopped trials, `untouched` that of the untouched phone images.
    On a `log` axis all means must be above 0.
    """

    label: str
    maximize: bool
    mean: Floats
    low: Floats
    high: Floats
    stopped: Floats
    untouched: float | None
    log: bool = False

    def limits(self) -> tuple[float, float]:
        """The range to show: every mean with an interval of the usual width, and longer ones up to half as far again.

        The long interval of two seeds must not squeeze the rest into a corner; neither must a far-off phone image.
        """
        if self.log:
            low, high = replace(self, log=False, **self._exponents()).limits()
            return float(10**low), float(10**high)
        halves = ((self.high - self.low) / 2)[np.isfinite(self.high)]
        usual = float(np.median(halves)) if halves.size else 0.0
        least, most = float(np.nanmin(self.mean)) - usual, float(np.nanmax(self.mean)) + usual
        span = max(most - least, 1e-3 * abs(most), 1e-9)
        low = max(float(np.nanmin(np.append(self.low, least))), least - span / 2)
        high = min(float(np.nanmax(np.append(self.high, most))), most + span / 2)
        if self.untouched is not None and least - span <= self.untouched <= most + span:
            low, high = min(low, self.untouched), max(high, self.untouched)
        return low - 0.05 * span, high + 0.05 * span

    def _exponents(self) -> dict[str, Any]:
        logs = {name: np.log10(getattr(self, name)) for name in ("mean", "low", "high")}
        return logs | {"untouched": None if self.untouched is None else float(np.log10(self.untouched))}


def plot_front(axes: Axes, x: Dimension, y: Dimension, number: NDArray[np.int64], joined: bool = True) -> Axes:
    """Plot two objectives of n configurations; those with `number` > 0 are the front, `joined` by its staircase.

    Do not join a front of three objectives: in two of them it is not a line.
    """
    on = number > 0
    scale(axes, "x", x.log)
    scale(axes, "y", y.log)
    # Limits come before anything that depends on places on the page: numbers, and notes on what lies outside.
    axes.set_xlim(*x.limits())
    axes.set_ylim(*y.limits())
    # Fade the others, or hundreds of bars hide the points.
    crowd = min(1.0, (60 / max(1, int((~on).sum()))) ** 0.5)
    if joined:
        axes.plot(*staircase(x.mean[on], y.mean[on], x.maximize), color=SKY, lw=2.0, zorder=2.5)
    _bars(axes, x, y, on, BLUE, 0.75)
    _dots(axes, x.mean[on], y.mean[on], BLUE, 7.5, "front", zorder=4)
    _bars(axes, x, y, ~on, GRAY, 0.4 * crowd)
    _dots(axes, x.mean[~on], y.mean[~on], GRAY, 3 + 1.5 * crowd, "completed", zorder=2)
    _stopped(axes, x, y)
    if x.untouched is not None and y.untouched is not None:
        _untouched(axes, x.untouched, y.untouched)
    elif x.untouched is not None:
        _untouched_level(axes, "x", x.untouched)
    elif y.untouched is not None:
        _untouched_level(axes, "y", y.untouched)
    _numbers(axes, x, y, number)
    return style_axes(axes, x.label, y.label)


def plot_rings(axes: Axes, x: Dimension, y: Dimension, run: NDArray[np.int64], names: Sequence[str]) -> None:
    """Mark each configuration by its run; nothing if there is only one run."""
    if len(names) < 2:
        return
    for index, name in enumerate(names):
        own = run == index
        axes.plot(x.mean[own], y.mean[own], "osD^v*"[index % 6], ms=11, mfc="none", mec=LINES[(index + 1) % len(LINES)],
                  mew=1.2, ls="", label=name, zorder=4.2)  # fmt: skip


def plot_paper_points(axes: Axes, x: Floats, y: Floats) -> None:
    """Plot a paper's points as crosses, and widen the limits to show them all."""
    axes.plot(x, y, "x", ms=6, color=VERMILION, mew=1.3, ls="", label="published", zorder=3)
    for values, limits, set_limits, log in (
        (x, axes.get_xlim(), axes.set_xlim, axes.get_xscale() == "log"),
        (y, axes.get_ylim(), axes.set_ylim, axes.get_yscale() == "log"),
    ):
        low, high = min(limits[0], float(values.min())), max(limits[1], float(values.max()))
        # On a log axis a gap below the smallest value could reach 0.
        gap = 0.0 if log else 0.03 * (high - low)
        set_limits(low - gap if low < limits[0] else low, high + gap if high > limits[1] else high)


def plot_ranking(axes: Axes, x: Dimension, number: NDArray[np.int64], labels: Sequence[str]) -> Axes:
    """One objective of n configurations, the first row on top; those with a `number` above 0 are the best."""
    rows = np.arange(len(labels), dtype=np.float64)
    best = number > 0
    scale(axes, "x", x.log)
    axes.set_xlim(*x.limits())
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.hlines(rows, x.low, x.high, colors=[BLUE if one else GRAY for one in best], lw=1.0, alpha=0.75)
    _dots(axes, x.mean[best], rows[best], BLUE, 7.5, "best", zorder=4)
    _dots(axes, x.mean[~best], rows[~best], GRAY, 5.5, "completed", zorder=3)
    if x.untouched is not None:
        _untouched_level(axes, "x", x.untouched)
    axes.set_yticks(rows, labels, fontsize=8)
    return style_axes(axes, x.label, "")


# --- the marks ---------------------------------------------------------------------------------------------------


def _dots(axes: Axes, x: Floats, y: Floats, color: str, size: float, label: str, zorder: float) -> None:
    if x.size:
        axes.plot(x, y, "o", ms=size, color=color, mec="white", mew=size / 10, ls="", label=label, zorder=zorder)


def _stopped(axes: Axes, x: Dimension, y: Dimension) -> None:
    """Plot the last scores of stopped trials; a note counts those outside the limits."""
    known = np.isfinite(x.stopped) & np.isfinite(y.stopped)
    if not known.any():
        return
    across, up = x.stopped[known], y.stopped[known]
    axes.plot(across, up, "o", ms=3.5, mfc="none", mec=GRAY, mew=0.7, alpha=0.5, ls="", zorder=1.5,
              label="stopped early (not comparable)")  # fmt: skip
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    outside = int(((across < left) | (across > right) | (up < bottom) | (up > top)).sum())
    if outside:
        text = f"{outside} of {across.size} stopped trials are outside the plot"
        axes.annotate(text, (1, 0), xycoords="axes fraction",
                      xytext=(-4, 4), textcoords="offset points", ha="right", fontsize=8, color="#777777",
                      bbox=PAPER)  # fmt: skip


def _bars(axes: Axes, x: Dimension, y: Dimension, mask: NDArray[np.bool_], color: str, alpha: float) -> None:
    """Both intervals as thin lines, in two collections however many configurations there are."""
    # Segments (n, 2, 2): from end to end of each interval, at the other objective's mean. NaN draws nothing.
    flat = np.stack([np.column_stack([x.low, y.mean]), np.column_stack([x.high, y.mean])], axis=1)[mask]
    tall = np.stack([np.column_stack([x.mean, y.low]), np.column_stack([x.mean, y.high])], axis=1)[mask]
    for lines in (flat, tall):
        # Long intervals must not set the limits; `Dimension.limits` does.
        axes.add_collection(LineCollection(list(lines), colors=color, linewidths=0.8, alpha=alpha), autolim=False)


def _untouched(axes: Axes, x: float, y: float) -> None:
    """The untouched phone image: a labeled mark, at the edge where its place is beyond the limits."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    across, up = min(max(x, left), right), min(max(y, bottom), top)
    inside = (across, up) == (x, y)
    text = "untouched phone image" if inside else f"untouched phone image\n(off the plot, at {x:.4g}, {y:.4g})"
    for line, at in ((axes.axvline, x), (axes.axhline, y)):
        line(at, color=VERMILION, lw=0.7, ls=(0, (4, 4)), alpha=0.6, zorder=1)
    axes.plot(across, up, "D", ms=7.5, color=VERMILION if inside else "white", mec="white" if inside else VERMILION,
              mew=0.8 if inside else 1.6, ls="", clip_on=False, zorder=4.5)  # fmt: skip
    west, south = across < (left + right) / 2, up < (bottom + top) / 2
    axes.annotate(text, (across, up), xytext=(9 if west else -9, 7 if south else -7), textcoords="offset points",
                  ha="left" if west else "right", va="bottom" if south else "top", fontsize=8.5, color=RUST,
                  bbox=PAPER, zorder=4.5)  # fmt: skip


def _untouched_level(axes: Axes, name: str, value: float) -> None:
    """The untouched phone image in one dimension: a line across the axis "x" or "y", named in the legend."""
    low, high = axes.get_xlim() if name == "x" else axes.get_ylim()
    off = "" if low <= value <= high else f" (off the plot, at {value:.4g})"
    line = axes.axvline if name == "x" else axes.axhline
    line(min(max(value, low), high), color=VERMILION, lw=1.4, ls=(0, (4, 3)), label=f"untouched phone image{off}")


def _numbers(axes: Axes, x: Dimension, y: Dimension, number: NDArray[np.int64]) -> None:
    """Number the front on its better side; neighbors whose labels would overlap share one."""
    chosen = np.flatnonzero(number > 0)
    chosen = chosen[np.argsort(number[chosen])]
    # Distances on the page decide, since labels have a size in points; this needs the final limits.
    points_pt = axes.transData.transform(np.column_stack([x.mean[chosen], y.mean[chosen]])) * 72 / axes.figure.dpi
    # In the order of the numbers, neighbors on the front are adjacent.
    gaps_pt = np.abs(np.diff(points_pt, axis=0))
    cuts = np.flatnonzero((gaps_pt > _LABEL_PT).any(axis=1)) + 1
    for group in np.split(chosen, cuts):
        first, last = number[group[0]], number[group[-1]]
        middle = group[len(group) // 2]
        axes.annotate(
            str(first) if first == last else f"{first}\N{EN DASH}{last}",
            (x.mean[middle], y.mean[middle]),
            xytext=(6 if x.maximize else -6, 6 if y.maximize else -6),
            textcoords="offset points",
            ha="left" if x.maximize else "right",
            va="bottom" if y.maximize else "top",
            fontsize=9.5, fontweight="bold", color=BLUE, zorder=5,
        )  # fmt: skip
