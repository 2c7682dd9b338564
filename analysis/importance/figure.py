"""The figures of `analysis importance`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.drawing.sheet import grid, legend
from analysis.drawing.style import style_axes
from analysis.importance.plot import (
    COLORS,
    Scale,
    Shares,
    plot_importance,
    plot_parallel,
    plot_slice,
    plot_surface,
)
from analysis.ledger.load import Objective
from analysis.ledger.space import Parameter
from analysis.ledger.units import metric_label, metric_unit, short_names

_ACROSS = 3  # plots side by side


def importance_figure(title: str, frame: pd.DataFrame, foot: Sequence[str]) -> Figure:
    """The importances of `frame` (as `importance.importance` gives it), a plot per objective."""
    metrics = list(dict.fromkeys(frame["metric"]))
    most = max(frame["metric"].value_counts())
    labels = [_row_label(row["parameter"], row["where"]) for row in frame.to_dict("records")]
    left_in = 0.3 + 0.07 * max(len(part) for label in labels for part in label.split("\n"))
    figure, axes = grid(title, foot, len(metrics), 1, 0.5 + 0.36 * most, left_in=left_in, up_in=0.95,
                        above_in=0.2)  # fmt: skip
    for place, (metric, (one,)) in enumerate(zip(metrics, axes, strict=True)):
        own = frame[frame["metric"] == metric]
        names = [_row_label(row["parameter"], row["where"]) for row in own.to_dict("records")]
        plot_importance(one, names, _shares(own, "fanova", "fANOVA"), _shares(own, "ped_anova", "PED-ANOVA"))
        one.set_title(metric_label(metric), fontsize=10, loc="left", pad=6.0 if place else 22.0)  # above the legend
        if not place:
            legend(one)
    return figure


def slices_figure(
    title: str,
    foot: Sequence[str],
    parameters: Sequence[Parameter],
    parts: Sequence[tuple[Objective, pd.DataFrame, pd.DataFrame]],
) -> Figure:
    """Scores along each parameter: for every objective its `configuration_scores` and its `curves`."""
    names = [list(dict.fromkeys(lines["parameter"])) for _, _, lines in parts]
    rows = [max(1, -(-len(own) // _ACROSS)) for own in names]
    figure, axes = grid(title, foot, sum(rows), _ACROSS, 1.9, across_in=0.72, up_in=0.72)
    known = scales(parameters)
    for part, (objective, scores, lines) in enumerate(parts):
        unit = metric_unit(objective.metric)
        block = [one for row in axes[sum(rows[:part]) : sum(rows[: part + 1])] for one in row]
        for place, one in enumerate(block):
            if place >= len(names[part]):
                one.remove()
                continue
            name = names[part][place]
            there, own = scores[scores[name].notna()], lines[lines["parameter"] == name]
            line = (list(own["value"]), own["predicted"].to_numpy(np.float64) / unit)
            plot_slice(one, known[name], list(there[name]), there["score"].to_numpy(np.float64) / unit, line)
            one.tick_params(labelsize=7.5)
            if len(known[name].choices) > 3:  # words side by side would run into each other
                one.tick_params(axis="x", rotation=15)
            if not place % _ACROSS:
                one.set_ylabel(metric_label(objective.metric), fontsize=9)
    return figure


def contours_figure(
    title: str,
    foot: Sequence[str],
    parameters: Sequence[Parameter],
    parts: Sequence[tuple[Objective, pd.DataFrame, pd.DataFrame]],
) -> Figure:
    """Scores over the two leading parameters: for every objective its `configuration_scores` and its `surface`."""
    figure, axes = grid(title, foot, len(parts), 1, 3.6, left_in=1.1, up_in=0.8)
    known = scales(parameters)
    for (one,), (objective, scores, surface) in zip(axes, parts, strict=True):
        x, y = str(surface["x"].iloc[0]), str(surface["y"].iloc[0])
        across, up = list(dict.fromkeys(surface["x_value"])), list(dict.fromkeys(surface["y_value"]))
        there, unit = scores[scores[[x, y]].notna().all(axis=1)], metric_unit(objective.metric)
        values = there["score"].to_numpy(np.float64) / unit
        norm = score_norm(values, objective)
        predicted = surface["predicted"].to_numpy(np.float64).reshape(len(across), len(up)) / unit
        points = (known[x].places(list(there[x])), known[y].places(list(there[y])), values)
        plot_surface(one, known[x], known[y], (across, up, predicted), points, norm)
        _bar(figure, one, norm, objective)
    return figure


def parallel_figure(
    title: str, foot: Sequence[str], parameters: Sequence[Parameter], parts: Sequence[tuple[Objective, pd.DataFrame]]
) -> Figure:
    """Every configuration as a line over its parameters, for every objective with its `configuration_scores`."""
    figure, axes = grid(title, foot, len(parts), 1, 3.0, left_in=0.75, up_in=0.8)
    known = scales(parameters)
    for (one,), (objective, scores) in zip(axes, parts, strict=True):
        values = scores["score"].to_numpy(np.float64) / metric_unit(objective.metric)
        heights = np.column_stack([known[own.name].heights(list(scores[own.name])) for own in parameters])
        norm = score_norm(values, objective)
        plot_parallel(one, list(known.values()), heights, values, norm)
        if len(parameters) > 6:
            one.set_xticks(one.get_xticks(), [t.get_text() for t in one.get_xticklabels()], rotation=20, ha="right")
        _bar(figure, one, norm, objective)
    return figure


def scales(parameters: Sequence[Parameter]) -> dict[str, Scale]:
    """How each parameter lies on an axis, by its name."""
    short = short_names(own.name for own in parameters)
    return {
        own.name: Scale(short[own.name], own.low, own.high, own.log, tuple(map(str, own.choices))) for own in parameters
    }


# --- the steps ---------------------------------------------------------------------------------------------------


def _row_label(parameter: str, where: str) -> str:
    return f"{parameter}\n(where {where})" if where else parameter


def _shares(frame: pd.DataFrame, kind: str, name: str) -> Shares:
    estimate, low, high = (frame[kind + part].to_numpy(np.float64) for part in ("", "_low", "_high"))
    free = frame.loc[frame["where"] == "", f"{kind}_chance"]
    return Shares(name, estimate, low, high, float(free.iloc[0]) if len(free) else float("nan"))


class _Falling(Normalize):
    """From 1 at the low end to 0 at the high one: Normalize itself refuses ends that are the wrong way round."""

    def __call__(self, value: Any, clip: bool | None = None) -> Any:
        return 1 - super().__call__(value, clip)


def score_norm(values: np.ndarray, objective: Objective) -> Normalize:
    """From the worst to the best of most scores (from the 5 % quantile on), so that bright is better."""
    low, high = np.quantile(values, (0.05, 1.0) if objective.maximize else (0.0, 0.95))
    return (Normalize if objective.maximize else _Falling)(low, high, clip=True)


def _bar(figure: Figure, axes: Axes, norm: Normalize, objective: Objective) -> None:
    box = axes.get_position()
    width = 0.018
    axes.set_position((box.x0, box.y0, box.width - 0.11, box.height))
    beside = figure.add_axes((box.x1 - 0.09, box.y0, width, box.height))
    scale = Normalize(norm.vmin, norm.vmax)
    figure.colorbar(ScalarMappable(scale, COLORS if objective.maximize else f"{COLORS}_r"), cax=beside)
    beside.tick_params(labelsize=7.5)
    beside.set_ylabel(metric_label(objective.metric), fontsize=9)
    style_axes(axes, axes.get_xlabel(), axes.get_ylabel())
    axes.grid(False)
