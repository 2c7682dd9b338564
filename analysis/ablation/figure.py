"""The figure of `analysis ablation`."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.forest import plot_forest
from analysis.drawing.sheet import WIDE_IN, grid
from analysis.ledger.units import metric_label

_MOST_ROWS = 50


def ablation_figure(title: str, frame: pd.DataFrame, foot: Sequence[str]) -> Figure:
    """A forest for each metric of `frame` (as `ablation.ablation` gives it), all with the same rows."""
    metrics = frame["metric"].drop_duplicates().tolist()
    shown = {metric: frame[frame["metric"] == metric].head(_MOST_ROWS) for metric in metrics}
    first = shown[metrics[0]]
    asked = int((frame["metric"] == metrics[0]).sum())
    left = [f"Shown: the first {len(first)} of {asked} effects."] if asked > len(first) else []
    labels = [text if len(text) <= 58 else f"{text[:55]}..." for text in first["effect"]]
    left_in = 0.4 + 0.07 * max(len(label) for label in labels)
    figure, (axes,) = grid(title, [*foot, *left], 1, len(metrics), 0.4 + 0.24 * len(labels), width_in=WIDE_IN,
                           left_in=left_in, across_in=0.25)  # fmt: skip
    # Where a new kind begins; the first row needs no line above it.
    heads = np.flatnonzero((first["kind"] != first["kind"].shift()).to_numpy())[1:].tolist()
    for number, (metric, one) in enumerate(zip(metrics, axes, strict=True)):
        part = shown[metric]
        mean, low, high = (part[name].to_numpy(dtype=np.float64) for name in ("mean", "low", "high"))
        names = labels if number == 0 else [""] * len(labels)
        plot_forest(one, names, mean, low, high, part["sure"].to_numpy(dtype=np.bool_),
                    textwrap.fill(f"change of {metric_label(metric)}", 28), 0.0, heads)  # fmt: skip
        one.set_xlim(*_limits(mean, low, high))
    return figure


def _limits(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Limits that hold every mean; intervals are cut at twice the largest mean (two seeds give very long ones)."""
    farthest = 2 * max(float(np.nanmax(np.abs(mean), initial=0.0)), 1e-6)
    ends = np.clip(np.concatenate([low, high, mean, [0.0]]), -farthest, farthest)
    # True only if all effects are (almost) 0: then the scale still needs some width.
    ends = np.append(ends, [-farthest, farthest]) if np.nanmax(ends) - np.nanmin(ends) < farthest / 2 else ends
    least, most = float(np.nanmin(ends)), float(np.nanmax(ends))
    return least - 0.06 * (most - least), most + 0.06 * (most - least)
