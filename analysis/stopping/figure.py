"""The figure of `analysis stopping`."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.sheet import WIDE_IN, grid, legend
from analysis.drawing.style import INK
from analysis.ledger.load import Objective
from analysis.ledger.units import metric_label
from analysis.stopping.audit import Audit
from analysis.stopping.plot import plot_arms, plot_by_rung, plot_early_end, plot_saved
from analysis.stopping.regret import ALL_RUNGS


def stopping_figure(title: str, audit: Audit, foot: Sequence[str]) -> Figure:
    """Per objective scores at a rung and regret; then correlation by rung, savings, and the arms of replays."""
    drawers: list[Callable[[Axes], object]] = [partial(_early_end, audit, own) for own in audit.objectives]
    drawers += [partial(_regret, audit, own) for own in audit.objectives if len(_regrets(audit, own))]
    if audit.agreement["rho"].notna().any():
        drawers.append(partial(_agreement, audit))
    drawers.append(partial(_saved, audit))
    if len(audit.arms):
        drawers.append(partial(_arms, audit))
    figure, rows = grid(title, foot, -(-len(drawers) // 2), 2, 2.5, width_in=WIDE_IN, left_in=1.05, right_in=0.5,
                        across_in=1.2, up_in=1.05, above_in=0.25, below_in=0.7)  # fmt: skip
    places = [one for row in rows for one in row]
    # An odd number of plots leaves the last place free.
    for draw, axes in zip(drawers, places, strict=False):
        draw(axes)
    for unused in places[len(drawers) :]:
        unused.remove()
    return figure


def _early_end(audit: Audit, objective: Objective, axes: Axes) -> None:
    part = audit.scores[audit.scores["metric"] == objective.metric]
    counts = part[part["spared"] == part["rung"]].groupby("rung").size()
    # The rung where the audit has most to show.
    rung = counts.idxmax() if len(counts) else part["rung"].min()
    part = part[part["rung"] == rung]
    early, end = (part[name].to_numpy(dtype=np.float64) for name in ("early", "end"))
    spared = (part["spared"] >= 0).to_numpy()
    through = end[~spared & np.isfinite(end)]
    # Infinite without a promoted trial, which `plot_early_end` takes for no line.
    best = float((objective.sign * through).max(initial=-np.inf)) * objective.sign
    label, step = metric_label(objective.metric), int(part["step"].iloc[0])
    plot_early_end(axes, early, end, spared, best, (f"{label} at step {step:,}", f"{label} at the end"))
    legend(axes, 3)


def _agreement(audit: Audit, axes: Axes) -> None:
    names = [metric_label(metric) for metric in audit.agreement["metric"].drop_duplicates()]
    plot_by_rung(axes, audit.agreement, ("rho", "low", "high"), names, "rank correlation with the end")
    least = float(np.nanmin(audit.agreement[["rho", "low"]].to_numpy(dtype=np.float64)))
    axes.set_ylim(min(-0.04, least - 0.05), 1.04)
    legend(axes, 3)


def _regrets(audit: Audit, objective: Objective) -> pd.DataFrame:
    frame = audit.regret
    return frame[(frame["metric"] == objective.metric) & (frame["rung"] != ALL_RUNGS) & frame["regret"].notna()]


def _regret(audit: Audit, objective: Objective, axes: Axes) -> None:
    label = metric_label(objective.metric)
    columns = ("regret", "regret_low", "regret_high")
    plot_by_rung(axes, _regrets(audit, objective), columns, [label], f"regret: {label}")
    axes.axhline(0, color=INK, lw=0.9, zorder=1)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.05 * high), high)
    axes.set_title("of stopping at this rung, relative to the best promoted", fontsize=8.5, loc="left", color="#555555")


def _saved(audit: Audit, axes: Axes) -> None:
    plot_saved(axes, audit.saved)
    legend(axes, 3)


def _arms(audit: Audit, axes: Axes) -> None:
    plot_arms(axes, audit.arms)
    legend(axes, 4)
