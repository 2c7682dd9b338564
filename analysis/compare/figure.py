"""The figure of `analysis compare`."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.forest import plot_forest
from analysis.drawing.sheet import WIDE_IN, Page
from analysis.ledger.load import Objective
from analysis.ledger.units import metric_label

# What tells rows apart. The label is part of it: an average may be over other configurations in another objective.
_ROW = ["kind", "stage", "label", "configuration"]
_MOST_ROWS = 40
_ROW_IN = 0.24
_ACROSS_IN = 0.25
_BELOW_IN = 0.85  # ticks and axis label


def two_runs_figure(
    title: str, scores: pd.DataFrame, endings: pd.DataFrame, objectives: Sequence[Objective], foot: Sequence[str]
) -> Figure:
    """Forest plots of the differences: one per objective of `scores` (from `score_differences`), all with the same
    rows, and below them one for the rates of `endings` (from `ending_differences`)."""
    drawn = [own for own in objectives if (scores["metric"] == own.metric).any()]
    rows = scores.drop_duplicates(_ROW).head(_MOST_ROWS)
    rows = rows.sort_values("kind", key=lambda own: own != "average", kind="stable")
    left_out = len(scores.drop_duplicates(_ROW)) - len(rows)
    more = [f"Shown: the first {len(rows)} of {len(rows) + left_out} rows."] if left_out > 0 else []
    labels = [textwrap.shorten(str(text), 58, placeholder=" ...") for text in rows["label"]]
    kinds = [f"{row.ending} ({row.count_a}/{row.n_a}, {row.count_b}/{row.n_b})" for row in endings.itertuples()]
    left_in = 0.4 + 0.07 * max(map(len, [*labels, *kinds]))
    # Without scores the rates move up: the negative height cancels the gap below the missing plots.
    high = 0.4 + _ROW_IN * len(labels) if drawn else -_BELOW_IN
    low_in = 0.3 + _ROW_IN * len(kinds)
    page = Page(title, [*foot, *more], high + _BELOW_IN + low_in, WIDE_IN, below_in=0.62)
    wide = (WIDE_IN - left_in - 0.3 - (max(len(drawn), 1) - 1) * _ACROSS_IN) / max(len(drawn), 1)
    for number, objective in enumerate(drawn):
        axes = page.axes(left_in + number * (wide + _ACROSS_IN), 0, wide, high)
        _scores(axes, rows, scores[scores["metric"] == objective.metric], labels if number == 0 else None, objective)
    axes = page.axes(left_in, high + _BELOW_IN, min(wide, 4.5), low_in)
    mean, low, ends = (100 * endings[name].to_numpy(dtype=np.float64) for name in ("mean", "low", "high"))
    plot_forest(
        axes, kinds, mean, low, ends, endings["sure"].to_numpy(dtype=np.bool_), "B minus A: rate (percentage points)"
    )
    _limited(axes, mean, low, ends)
    return page.figure


def _scores(
    axes: Axes, rows: pd.DataFrame, own: pd.DataFrame, labels: Sequence[str] | None, objective: Objective
) -> None:
    """The forest plot of one objective in the order of `rows`; rows that it lacks stay empty."""
    part = rows[_ROW].merge(own, on=_ROW, how="left")
    mean, low, high = (part[name].to_numpy(dtype=np.float64) for name in ("mean", "low", "high"))
    # Rows that the merge left empty hold NaN, which is true as a bool.
    sure = part["sure"].eq(True).to_numpy(dtype=np.bool_)
    heads = [int((part["kind"] == "average").sum())]
    better = "right" if objective.maximize else "left"
    words = textwrap.fill(f"B minus A: {metric_label(objective.metric)} (better: {better})", 40)
    plot_forest(axes, labels or [""] * len(part), mean, low, high, sure, words, heads=[one for one in heads if one])
    for text in axes.get_yticklabels()[: heads[0]]:
        text.set_fontweight("bold")
    _limited(axes, mean, low, high)


def _limited(axes: Axes, mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Limits that hold every mean and zero; very long intervals are cut at twice the usual length."""
    ends = np.abs(np.concatenate([low, high]))
    # The longest fifth may be cut: two seeds give intervals that would squeeze all others.
    usual = float(np.nanquantile(ends, 0.8)) if np.isfinite(ends).any() else 0.0
    farthest = max(2 * usual, 1.2 * float(np.nanmax(np.abs(mean), initial=0.0)), 1e-6)
    values = np.clip(np.concatenate([low, high, mean, [0.0]]), -farthest, farthest)
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    if most - least < farthest / 2:
        least, most = min(least, -farthest / 4), max(most, farthest / 4)
    axes.set_xlim(least - 0.06 * (most - least), most + 0.06 * (most - least))
