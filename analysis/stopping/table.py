"""The tables of an audit of early stopping, as cells that the command and the report render."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.ledger.units import metric_label, metric_text
from analysis.stopping.audit import Audit
from analysis.stopping.regret import ALL_RUNGS, FRONT


class Cells(NamedTuple):
    """Rows of text under column names; the first `left` columns are left-aligned. `sum`: the last row is a total."""

    names: Sequence[str]
    left: int
    rows: Sequence[Sequence[str]]
    sum: bool = False

    def to_table(self) -> Table:
        """A table for a terminal."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, name in enumerate(self.names):
            table.add_column(name, justify="left" if place < self.left else "right", overflow="fold")
        for place, row in enumerate(self.rows):
            last = self.sum and place == len(self.rows) - 1
            table.add_row(*map(Text, row), style="bold" if last else "")
        return table


def audit_cells(found: Audit) -> list[Cells]:
    """The tables that have data: how well rungs predict the end, regret, savings, replays."""
    parts = [
        agreement_cells(found.agreement) if len(found.agreement) else None,
        regret_cells(found.regret) if len(found.regret) else None,
        saved_cells(found.saved),
        arms_cells(found.arms, found.best) if len(found.arms) else None,
    ]
    return [part for part in parts if part is not None]


def agreement_cells(frame: pd.DataFrame) -> Cells:
    """How well each rung predicts the end, from `answer.agreement`."""
    rows = []
    for row in frame.to_dict("records"):
        rho = "unknown" if pd.isna(row["rho"]) else f"{row['rho']:.2f}"
        ends = "" if pd.isna(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}"
        rows.append(
            [metric_label(row["metric"]), f"{row['step']:,}", rho, ends, f"{row['n']:,}", f"{row['n_spared']:,}"]
        )
    return Cells(("score", "rung at step", "rank correlation", "95 % interval", "trials", "spared"), 1, rows)


def regret_cells(frame: pd.DataFrame) -> Cells:
    """What each rung lost by stopping, from `regret.regret_by_rung`."""
    rows = []
    for row in frame.to_dict("records"):
        name = "front (all)" if row["metric"] == FRONT else metric_label(row["metric"])
        rung = "all" if row["rung"] == ALL_RUNGS else f"{row['step']:,}"
        counts = [f"{row[column]:,}" for column in ("stopped", "spared", "better")]
        rows.append([name, rung, *counts, _lost(row), *_regret(row)])
    names = ("rung at step", "stopped", "spared", "better: spared", "better: stopped", "regret", "95 % interval")
    return Cells(("score", *names), 1, rows)


def saved_cells(frame: pd.DataFrame) -> Cells:
    """What each rung saved and what its audit cost, from `answer.saved_by_rung`; with several rungs, totals last."""
    shares = ("saved_steps", "saved_seconds", "audit_steps", "audit_seconds")
    rows = []
    for row in frame.to_dict("records"):
        counts = [f"{row[name]:,}" for name in ("reached", "stopped", "spared")]
        rows.append([f"{row['step']:,}", *counts, *(_percent(row[name]) for name in shares)])
    several = len(frame) > 1
    if several:
        sums = frame[["stopped", "spared"]].sum()
        # A total over some of the rungs would pass for one over all.
        totals = [_percent(frame[name].sum(skipna=False)) for name in shares]
        rows.append(["all", "", *(f"{count:,}" for count in sums), *totals])
    names = ("reached", "stopped", "spared", "steps saved", "seconds saved", "audit: steps", "audit: seconds")
    return Cells(("rung at step", *names), 1, rows, sum=several)


def arms_cells(frame: pd.DataFrame, best: str) -> Cells:
    """The results of replays, from `replays.arms`; `best` is the metric of the first objective."""
    rows = []
    for row in frame.to_dict("records"):
        shares = [_quartiles(row, name) for name in ("steps_share", "volume_share")]
        found = "none" if pd.isna(row["best"]) else metric_text(best, row["best"])
        rows.append([*(row[name] for name in ("stopping", "sampler", "rung_steps")), str(row["seeds"]), *shares, found])
    return Cells(("stopping", "sampler", "rungs at", "seeds", "% of steps", "% of hypervolume", "best"), 3, rows)


def legend_lines() -> list[str]:
    """Lines that explain the columns of the tables."""
    return [
        "rank correlation: Spearman's, with the final score; spared trials are weighted to represent the stopped ones.",
        "better: final score above the best promoted trial's; for stopped trials, estimated from the spared ones.",
        "regret: predicted margin of the best stopped trial over the best promoted one at the end.",
        "saved: share of the cost of training every trial to the end; seconds at each trial's own pace.",
    ]


def _lost(row: dict[Hashable, Any]) -> str:
    if pd.isna(row["share"]):
        return "unknown"
    middle, low, high = (row["stopped"] * row[name] for name in ("share", "low", "high"))
    return f"{middle:,.1f} ({low:,.1f} to {high:,.1f})"


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
