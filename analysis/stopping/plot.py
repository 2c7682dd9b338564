"""Early stopping: scores at a rung against the end, what was saved, and the arms of a replay."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from analysis.drawing.style import BLUE, GRAY, LINES, SKY, VERMILION, style_axes
from analysis.statistics.intervals import Floats

MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def plot_early_end(
    axes: Axes, early: Floats, end: Floats, spared: NDArray[np.bool_], best: float, labels: tuple[str, str]
) -> Axes:
    """Scores (n,) at a rung and at the end, those in `spared` marked; a line at the `best` promoted score."""
    axes.plot(early[~spared], end[~spared], "o", ms=5.5, color=BLUE, mec="white", mew=0.6, ls="", label="promoted")
    axes.plot(early[spared], end[spared], "D", ms=5.5, color=VERMILION, mec="white", mew=0.6, ls="", label="spared")
    if np.isfinite(best):
        axes.axhline(best, color=BLUE, lw=0.9, ls=(0, (4, 3)), zorder=1, label="best promoted")
    return style_axes(axes, *labels)


def plot_by_rung(axes: Axes, frame: pd.DataFrame, columns: Sequence[str], names: Sequence[str], y_label: str) -> Axes:
    """Estimates by rung with intervals: `columns` are estimate, low and high of `frame`; a color for each metric.

    The metrics stand side by side at each rung, under `names` in their order in the frame.
    """
    rungs = frame.drop_duplicates("rung").sort_values("rung")
    place = {rung: number for number, rung in enumerate(rungs["rung"])}
    metrics = frame["metric"].drop_duplicates().tolist()
    for number, (metric, name) in enumerate(zip(metrics, names, strict=True)):
        part = frame[frame["metric"] == metric]
        # Rungs are a unit apart; metrics are shifted around their place so that bars do not overlap.
        x = part["rung"].map(place).to_numpy(dtype=np.float64) + 0.16 * (number - (len(metrics) - 1) / 2)
        middle, low, high = (part[column].to_numpy(dtype=np.float64) for column in columns)
        color = LINES[number % len(LINES)]
        axes.vlines(x, low, high, color=color, lw=1.8, alpha=0.75)
        axes.plot(x, middle, "o", ms=6.5, color=color, mec="white", mew=0.8, ls="", label=name)
    axes.set_xticks(range(len(place)), [f"step {step:,}" for step in rungs["step"]])
    axes.set_xlim(-0.6, len(place) - 0.4)
    style_axes(axes, "rung", y_label)
    axes.grid(axis="x", visible=False)
    return axes


def plot_saved(axes: Axes, frame: pd.DataFrame) -> Axes:
    """Stacked bars of what was trained, spent on the audit and saved by each rung, from `saved_by_rung`."""
    # Without recorded times the shares of seconds are NaN.
    units = [unit for unit in ("steps", "seconds") if frame[f"saved_{unit}"].notna().all()]
    saved = {unit: frame[f"saved_{unit}"].to_numpy(dtype=np.float64) for unit in units}
    audit = {unit: float(frame[f"audit_{unit}"].sum()) for unit in units}
    parts = [("trained", GRAY, [1 - saved[unit].sum() - audit[unit] for unit in units])]
    parts.append(("audit", VERMILION, [audit[unit] for unit in units]))
    blues = (BLUE, SKY)
    for number, step in enumerate(frame["step"]):
        parts.append((f"saved at step {step:,}", blues[number % 2], [saved[unit][number] for unit in units]))
    left = np.zeros(len(units))
    for name, color, shares in parts:
        if not any(shares):
            continue
        axes.barh(range(len(units)), shares, left=left, height=0.55, color=color, alpha=0.85, label=name, ec="white")
        for row, (start, share) in enumerate(zip(left, shares, strict=True)):
            # Text does not fit into a narrower part.
            if share > 0.06:
                axes.text(start + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=8.5, color="white")
        left = left + np.asarray(shares)
    axes.set_yticks(range(len(units)), units)
    axes.set(ylim=(len(units) - 0.4, -0.6), xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    style_axes(axes, "share of training every trial to the end", "")
    axes.grid(axis="y", visible=False)
    return axes


def plot_arms(axes: Axes, frame: pd.DataFrame) -> Axes:
    """The arms of `replays.arms`: share of steps against share of hypervolume, medians with quartiles.

    Earlier rules are larger marks, since rules that decide alike lie on one another.
    """
    rules, samplers = (frame[name].drop_duplicates().tolist() for name in ("stopping", "sampler"))
    spacings = frame["rung_steps"].drop_duplicates().tolist()
    for row in frame.to_dict("records"):
        color = LINES[rules.index(row["stopping"]) % len(LINES)]
        mark = MARKS[(samplers.index(row["sampler"]) * len(spacings) + spacings.index(row["rung_steps"])) % len(MARKS)]
        size = 6 + 2.5 * (len(rules) - 1 - rules.index(row["stopping"]))
        x, y = 100 * row["steps_share"], 100 * row["volume_share"]
        axes.hlines(y, 100 * row["steps_share_low"], 100 * row["steps_share_high"], color=color, lw=1.2, alpha=0.6)
        axes.vlines(x, 100 * row["volume_share_low"], 100 * row["volume_share_high"], color=color, lw=1.2, alpha=0.6)
        words = [row["stopping"], *([row["sampler"]] if len(samplers) > 1 else []),
                 *([f"at {row['rung_steps']}"] if len(spacings) > 1 else [])]  # fmt: skip
        axes.plot(
            x,
            y,
            mark,
            ms=size,
            color=color,
            mec="white",
            mew=0.8,
            ls="",
            label=", ".join(words),
        )
    axes.margins(0.12)
    # Arms often differ by less than a percent, which must not look like much.
    axes.set_ylim(min(axes.get_ylim()[0], 95.0), 101)
    return style_axes(axes, "% of all curves' steps", "% of all curves' hypervolume")
