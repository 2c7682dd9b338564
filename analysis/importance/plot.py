"""Importances with their intervals, and what a score does along one parameter, two, or all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GRAY, INK, VERMILION, scale, style_axes
from analysis.statistics.intervals import Floats

COLORS = "viridis"
"""The color map of scores: bright is better; even in lightness, and readable for color-blind readers."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Importances (n,) from 0 to 1 with their intervals, NaN: none; `chance` is what noise alone would reach."""

    name: str
    estimate: Floats
    low: Floats
    high: Floats
    chance: float


@dataclass(frozen=True)
class Scale:
    """How a parameter lies on an axis: its ends, logarithmic or not; or its `choices`, evenly spaced from 0."""

    label: str
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] = ()

    def places(self, values: Sequence[object]) -> Floats:
        """Where values lie (n,): numbers as they are, choices at 0, 1, ...; NaN for an empty one."""
        if self.choices:
            index = {text: float(place) for place, text in enumerate(self.choices)}
            return np.array([index.get(str(value), np.nan) for value in values], dtype=np.float64)
        return np.array([np.nan if value is None else float(str(value)) for value in values], dtype=np.float64)

    def heights(self, values: Sequence[object]) -> Floats:
        """Where values lie from 0 (the low end) to 1 (the high end), as far as they count."""
        places = self.places(values)
        if self.choices:
            return (places + 0.5) / len(self.choices)
        low, high = self.low, self.high
        if self.log:
            places, low, high = np.log10(places), np.log10(low), np.log10(high)
        return np.asarray((places - low) / (high - low), dtype=np.float64)

    def dress(self, axes: Axes, name: str) -> None:
        """Put scale, limits and ticks on the axis "x" or "y"."""
        axis = axes.xaxis if name == "x" else axes.yaxis
        if self.choices:
            axis.set_ticks(range(len(self.choices)), list(self.choices))
            axes.set(**{f"{name}lim": (-0.5, len(self.choices) - 0.5)})
            return
        scale(axes, name, self.log)
        margin = 0.03
        if self.log:
            axis.set_minor_locator(NullLocator())
            if np.log10(self.high / self.low) > 1.5:  # decades alone: small plots have no room for 2 and 5 between
                axis.set_major_locator(LogLocator(numticks=6))
            factor = (self.high / self.low) ** margin
            axes.set(**{f"{name}lim": (self.low / factor, self.high * factor)})
        else:
            pad = margin * (self.high - self.low)
            axes.set(**{f"{name}lim": (self.low - pad, self.high + pad)})


def plot_importance(axes: Axes, labels: Sequence[str], first: Shares, second: Shares) -> Axes:
    """Two kinds of importance of n parameters (`labels`), the first row on top: filled circles and hollow diamonds.

    A dashed line in each kind's color is what chance alone would give.
    """
    rows = np.arange(len(labels), dtype=np.float64)
    for shares, marker, color, face, shift in (
        (first, "o", BLUE, BLUE, -0.14),
        (second, "D", VERMILION, "white", 0.14),
    ):
        y = rows + shift
        axes.hlines(y, shares.low, shares.high, colors=color, lw=1.4, alpha=0.75)
        axes.plot(shares.estimate, y, marker, ms=6.5, color=color, mfc=face, mec=color, ls="", label=shares.name,
                  zorder=3, clip_on=False)  # fmt: skip
        if np.isfinite(shares.chance):
            axes.axvline(shares.chance, color=color, lw=1.0, ls=(0, (4, 3)), alpha=0.8, label=f"{shares.name}: chance")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(rows, labels, fontsize=8.5)
    return style_axes(axes, "importance (share)", "")


def plot_slice(
    axes: Axes, x: Scale, values: Sequence[object], scores: Floats, line: tuple[Sequence[object], Floats] | None
) -> Axes:
    """Scores (n,) along one parameter; `line` is what a model makes of it: values (m,) and predictions (m,).

    Points of a choice are spread sideways by their order, so that they do not hide each other.
    """
    places = x.places(values)
    if x.choices:
        places = places + 0.25 * (np.argsort(np.argsort(scores, kind="stable")) / max(1, len(scores) - 1) - 0.5)
    axes.plot(places, scores, "o", ms=3.5, mfc=GRAY, mec="none", alpha=0.6, ls="", zorder=2)
    if line is not None:
        at = x.places(line[0])
        if x.choices:
            axes.hlines(line[1], at - 0.3, at + 0.3, colors=BLUE, lw=2.2, zorder=3)
        else:
            axes.plot(at, line[1], color=BLUE, lw=1.8, zorder=3)
    x.dress(axes, "x")
    return style_axes(axes, x.label, "")


def plot_surface(
    axes: Axes, x: Scale, y: Scale, grid: tuple[Sequence[object], Sequence[object], Floats], points: Sequence[Floats],
    norm: Normalize,
) -> Axes:  # fmt: skip
    """A score over two parameters: `grid` has their values (a,) and (b,) and predictions (a, b).

    `points` are places on x (n,), places on y (n,) and scores (n,) of what was tried, colored as the surface is.
    """
    across, up = x.places(grid[0]), y.places(grid[1])
    axes.pcolormesh(_edges(across, x.log), _edges(up, y.log), grid[2].T, cmap=COLORS, norm=norm, rasterized=True)
    if not x.choices and not y.choices:
        axes.contour(across, up, grid[2].T, levels=8, colors="white", linewidths=0.5, alpha=0.7, norm=norm)
    axes.scatter(points[0], points[1], c=points[2], cmap=COLORS, norm=norm, s=22, edgecolors="white", linewidths=0.8,
                 zorder=3)  # fmt: skip
    x.dress(axes, "x")
    y.dress(axes, "y")
    return style_axes(axes, x.label, y.label)


def plot_parallel(axes: Axes, scales: Sequence[Scale], heights: Floats, scores: Floats, norm: Normalize) -> Axes:
    """n configurations as lines over p parameters: `heights` (n, p) from 0 to 1, NaN where one is switched off.

    A line passes over a parameter that it does not have as a thin one. Better scores (n,) are drawn last.
    """
    order = np.argsort(norm(scores), kind="stable")
    columns = np.arange(heights.shape[1])
    for row in order:
        there = np.isfinite(heights[row])
        color = _color(norm, scores[row])
        axes.plot(columns[there], heights[row][there], color=color, lw=0.5, alpha=0.45, zorder=2)
        whole = [
            [(c, heights[row][c]), (c + 1, heights[row][c + 1])] for c in columns[:-1] if there[c] and there[c + 1]
        ]
        axes.add_collection(LineCollection(whole, colors=[color], linewidths=1.2, alpha=0.85, zorder=2.5))
        axes.plot(columns[there], heights[row][there], "o", ms=2.5, color=color, mec="none", zorder=3)
    for column, own in enumerate(scales):
        axes.axvline(column, color="#AAAAAA", lw=0.8, zorder=1)
        for text, height in _marks(own):
            axes.annotate(text, (column, height), xytext=(4, 0), textcoords="offset points", fontsize=7.5, va="center",
                          color=INK, zorder=5, bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7})  # fmt: skip  # noqa: E501
    axes.set_xlim(-0.1, len(scales) - 0.55)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([])
    axes.set_xticks(columns, [own.label for own in scales], fontsize=8.5)
    style_axes(axes, "", "")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return axes


def _marks(own: Scale) -> list[tuple[str, float]]:
    """What is written beside an axis of parallel coordinates, and where."""
    if own.choices:
        return list(zip(own.choices, own.heights(own.choices).tolist(), strict=True))
    return [(f"{own.low:g}", 0.0), (f"{own.high:g}", 1.0)]


def _color(norm: Normalize, score: float) -> tuple[float, ...]:
    return tuple(matplotlib.colormaps[COLORS](float(norm(score))))


def _edges(places: Floats, log: bool) -> NDArray[np.float64]:
    """The n + 1 borders of the cells around n places, each half way between two (in the logarithm on a log axis)."""
    where = np.log10(places) if log else places
    if len(where) == 1:
        return np.array([where[0] - 0.5, where[0] + 0.5])
    middle = (where[1:] + where[:-1]) / 2
    ends = np.concatenate([[where[0] - (middle[0] - where[0])], middle, [where[-1] + (where[-1] - middle[-1])]])
    return np.asarray(10**ends if log else ends, dtype=np.float64)
