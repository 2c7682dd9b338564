"""The tables of `analysis stopping`."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.losses import ALL_RUNGS, FRONT
from analysis.units import metric_label, metric_text


def agreement_table(frame: pd.DataFrame) -> Table:
    """How well each rung predicts the end, of `stopping.agreement`."""
    table = _table("score", right=("rung at step", "rank correlation", "95 % interval", "trials", "spared"))
    for row in frame.to_dict("records"):
        rho = "unknown" if pd.isna(row["rho"]) else f"{row['rho']:.2f}"
        ends = "" if pd.isna(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}"
        table.add_row(metric_label(row["metric"]), f"{row['step']:,}", rho, ends, str(row["n"]), str(row["n_spared"]))
    return table


def losses_table(frame: pd.DataFrame) -> Table:
    """What each rung lost by stopping, of `losses.losses`."""
    right = ("rung at step", "stopped", "spared", "better", "of the stopped", "regret", "95 % interval")
    table = _table("better than what was let through in", right=right)
    for row in frame.to_dict("records"):
        name = "front (all)" if row["metric"] == FRONT else metric_label(row["metric"])
        rung = "all" if row["rung"] == ALL_RUNGS else f"{row['step']:,}"
        counts = [str(row[column]) for column in ("stopped", "spared", "better")]
        table.add_row(Text(name), rung, *counts, _lost(row), *_regret(row))
    return table


def saved_table(frame: pd.DataFrame) -> Table:
    """What each rung saved and its audit cost, of `stopping.saved_by_rung`; the last row is their sum."""
    right = ("reached", "stopped", "spared", "steps saved", "seconds saved", "audit: steps", "audit: seconds")
    table = _table("rung at step", right=right)
    shares = ("saved_steps", "saved_seconds", "audit_steps", "audit_seconds")
    for row in frame.to_dict("records"):
        counts = [str(row[name]) for name in ("reached", "stopped", "spared")]
        table.add_row(f"{row['step']:,}", *counts, *(_percent(row[name]) for name in shares))
    if len(frame) > 1:
        sums = frame[["stopped", "spared"]].sum()
        totals = [_percent(frame[name].sum(skipna=False)) for name in shares]
        table.add_row("all", "", *map(str, sums), *totals, style="bold")
    return table


def arms_table(frame: pd.DataFrame, best: str) -> Table:
    """What replays came to, of `replays.arms`; `best` is the first objective's metric."""
    table = _table("stopping", "sampler", "rungs at", right=("seeds", "% of steps", "% of hypervolume", "best"))
    for row in frame.to_dict("records"):
        shares = [_quartiles(row, name) for name in ("steps_share", "volume_share")]
        found = "none" if pd.isna(row["best"]) else metric_text(best, row["best"])
        names = (row["stopping"], row["sampler"], row["rung_steps"])
        table.add_row(*names, str(row["seeds"]), *shares, found)
    return table


def legend_lines() -> list[str]:
    """What the columns of the tables mean."""
    return [
        "rank correlation: Spearman's with the score at the end; a spared trial stands for the stopped ones like it.",
        "of the stopped: how many of them would have ended so, as the share of the spared did (Wilson's interval).",
        "regret: by how much the best of them would beat the best let through, as a line through the spared says.",
        "saved: of what training everything to the end would have taken; seconds at the pace of each trial.",
    ]


def _lost(row: dict[Hashable, Any]) -> str:
    if pd.isna(row["share"]):
        return "unknown"
    middle, low, high = (row["stopped"] * row[name] for name in ("share", "low", "high"))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _regret(row: dict[Hashable, Any]) -> tuple[str, str]:
    if row["metric"] == FRONT:
        return "", ""
    if pd.isna(row["regret"]):
        return "unknown", ""
    middle, low, high = (metric_text(row["metric"], row[name]) for name in ("regret", "regret_low", "regret_high"))
    return middle, f"{low} to {high}"


def _percent(share: float) -> str:
    return "unknown" if pd.isna(share) else f"{100 * share:.1f} %"


def _quartiles(row: dict[Hashable, Any], name: str) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * row[f"{name}{end}"] for end in ("", "_low", "_high")))


def _table(*left: str, right: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table
