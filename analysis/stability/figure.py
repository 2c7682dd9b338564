"""The figures of `analysis stability`."""

import textwrap
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.forest import plot_forest
from analysis.drawing.sheet import WIDE_IN, grid, legend, sheet
from analysis.stability.heat import DIVERGED, Cells, plot_heat
from analysis.stability.lines import Line, plot_lines, plot_rates
from analysis.stability.study import Study

_MOST_ROWS = 60
_FEWEST = 3  # trials under a band: the t interval of two is wider than any plot


def stability_figure(title: str, study: Study, foot: Sequence[str]) -> Figure:
    """Up to four panels: the edge of stability, the heat map, performance profiles, the spread over seeds."""
    # Edge and heat map are put in front, so that they come first where they exist.
    drawers = [_profiles] if len(study.profiles) else []
    if study.spreads["sd"].notna().any():
        drawers.append(_spreads)
    if study.heat is not None:
        drawers.insert(0, _heat)
    if study.edge is not None:
        drawers.insert(0, _edge)
    figure, axes = _two_columns(title, foot, len(drawers), 3.0)
    for draw, one in zip(drawers, axes, strict=True):
        draw(one, study)
    return figure


def rates_figure(title: str, frame: pd.DataFrame, foot: Sequence[str]) -> Figure:
    """The rate of divergence at every level of every factor, of `frame` as `answer.divergence` gives it."""
    shown = frame.head(_MOST_ROWS)
    left = [] if len(shown) == len(frame) else [f"Shown: the first {len(shown)} of {len(frame)} levels."]
    labels = [_row_label(row) for row in shown.to_dict("records")]
    left_in = 0.3 + 0.068 * max(len(label) for label in labels)
    figure, axes = sheet(title, [*foot, *left], 0.3 + 0.2 * len(shown), left_in)
    heads = np.flatnonzero((shown["factor"] != shown["factor"].shift()).to_numpy())
    mean, low, high = (100 * shown[name].to_numpy(dtype=np.float64) for name in ("rate", "low", "high"))
    overall = float(mean[0])
    plot_forest(axes, labels, mean, low, high, (low > overall) | (high < overall), "diverged (% of trials)", overall,
                heads[1:].tolist())  # fmt: skip
    axes.set_xlim(-2, 102)
    return figure


def curves_figure(title: str, frame: pd.DataFrame, names: dict[str, str], foot: Sequence[str]) -> Figure:
    """A panel for each column in `names` (column to label) that `frame`, as `curves.mean_curves` gives it, has."""
    there = [column for column in names if (frame["curve"] == column).any()]
    figure, axes = _two_columns(title, foot, len(there), 2.6)
    order = frame["line"].drop_duplicates().tolist()
    for column, one in zip(there, axes, strict=True):
        lines = [
            _line(text, part, "step", "mean", number)
            for number, text in enumerate(order)
            if len(part := frame[(frame["curve"] == column) & (frame["line"] == text)])
        ]
        plot_lines(one, lines, "step", names[column])
    if axes:
        legend(axes[0], 8 if max(map(len, order)) < 12 else 4)
    return figure


# --- the panels --------------------------------------------------------------------------------------------------


def _two_columns(title: str, foot: Sequence[str], count: int, high_in: float) -> tuple[Figure, list[Axes]]:
    """A page with `count` plots, row by row."""
    # -(-a // b) rounds up.
    figure, rows = grid(title, foot, -(-count // 2), 2, high_in, width_in=WIDE_IN, right_in=0.65, across_in=1.7,
                        up_in=1.05, above_in=0.23, below_in=0.9)  # fmt: skip
    places = [one for row in rows for one in row]
    for unused in places[count:]:
        unused.remove()
    return figure, places[:count]


def _edge(axes: Axes, study: Study) -> None:
    frame, rate = study.edge, study.rate
    assert frame is not None
    assert rate is not None
    lines = [_line(study.named(text) or "all trials", part, "at", "rate", number)
             for number, (text, part) in enumerate(frame.groupby("by", sort=False))]  # fmt: skip
    # A grid of learning rates is a choice, which has no scale of its own: its values decide.
    log = bool((frame["at"] > 0).all()) and (rate.log or bool(frame["at"].max() > 20 * frame["at"].min()))
    plot_rates(axes, lines, rate.name, "share that diverged", log)
    legend(axes, 3)


def _heat(axes: Axes, study: Study) -> None:
    frame, across, up = study.heat, study.across, study.up
    assert frame is not None
    assert across is not None
    assert up is not None
    cells = Cells(*(frame[name].to_numpy() for name in ("x", "y", "score", "rate")))
    texts = [_texts(frame, number, text) for number, text in (("x", "across"), ("y", "up"))]
    label = f"median {study.score} of completed"
    plot_heat(axes, cells, texts[0], texts[1], (across.name, up.name, label))
    said = f"numbers: share diverged; outlined: {DIVERGED:.0%} and more"
    axes.set_title(said, fontsize=8.5, loc="left", color="#555555")


def _profiles(axes: Axes, study: Study) -> None:
    frame = study.profiles
    lines = [_line(study.named(text), part, "threshold", "share", number)
             for number, (text, part) in enumerate(frame.groupby("level", sort=False))]  # fmt: skip
    plot_lines(axes, lines, study.score, "share of runs with a better score", marked=False)
    # `plot_lines` may have chosen a log axis for small shares.
    axes.set(yscale="linear", ylim=(-0.03, 1.03))
    legend(axes, 3)


def _spreads(axes: Axes, study: Study) -> None:
    frame = study.spreads[study.spreads["sd"].notna()]
    texts = [f"{study.named(row['level'])} ({row['seeds']})" for row in frame.to_dict("records")]
    # Longer labels would run off the left edge of the page.
    labels = [textwrap.fill(text, 13) for text in texts]
    mean, low, high = (frame[name].to_numpy(dtype=np.float64) for name in ("sd", "sd_low", "sd_high"))
    strong = np.ones(len(frame), dtype=np.bool_)
    plot_forest(
        axes,
        labels,
        mean,
        low,
        high,
        strong,
        textwrap.fill(f"standard deviation between seeds, {study.score}", 52),
        None,
    )
    # The chi-squared interval of few seeds reaches far to the right: cut it off rather than squeeze the estimates.
    axes.set_xlim(0, min(1.05 * float(np.nanmax(high)), 3 * float(np.nanmax(mean))) or 1)
    axes.set_title("in brackets: completed trials", fontsize=8.5, loc="left", color="#555555")


def _line(name: str, part: pd.DataFrame, x: str, y: str, number: int) -> Line:
    part = part.sort_values(x)
    # Rates carry Wilson intervals, which are sound at any n; only t intervals of means need a least n.
    few = part["n"] < _FEWEST if y == "mean" else pd.Series(False, index=part.index)
    across, up, low, high = (part[column].to_numpy(dtype=np.float64) for column in (x, y, "low", "high"))
    return Line(name, across, up, np.where(few, np.nan, low), np.where(few, np.nan, high), number)


def _texts(frame: pd.DataFrame, number: str, text: str) -> list[str]:
    known = dict(zip(frame[number], frame[text], strict=True))
    # A level without a trial that has both factors has no row, and so no text.
    return [str(known.get(place, "")) for place in range(int(frame[number].max()) + 1)]


def _row_label(row: dict[Hashable, object]) -> str:
    name = f"{row['factor']} = " if row["factor"] else ""
    return f"{name}{row['level']}  ({row['diverged']} of {row['n']})"
