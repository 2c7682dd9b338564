"""Early stopping: where trials were stopped, what that saved, and what the audit says it cost."""

import pandas as pd

from analysis.load import Ledger, LedgerError, contract
from analysis.report.blocks import Block, Table, Text, Told
from analysis.report.reading import Reading
from analysis.stopping import agreement, savings, stopping_lines
from analysis.units import COSTS, metric_label


def stopping(reading: Reading) -> Told:
    """Where trials were stopped, and whether that was right."""
    ledger = reading.ledger
    try:
        rungs, rule = contract(ledger, "rungs"), str(contract(ledger, "stopping"))
    except LedgerError as error:
        return Told(f"Not known: {error}.")
    trials = ledger.read("trials", ["stage", "ending", "steps", "spared"])
    search = trials[trials["stage"] == "search"]
    if search.empty:
        return Told("The search has no trial that ended.")
    if rule == "none" or len(rungs) < 2:
        return Told("No trial was stopped by a rung: the sweep trains every trial to the end.")
    lead = f"The rule {rule!r} compared the trials at {len(rungs) - 1} of the rungs; the last is the end."
    blocks: list[Block] = [_rungs(search, rungs)]
    lines = stopping_lines(ledger)
    if not lines:
        saved = f"stopping saved {savings(ledger).saved:.0%} of the search's steps"
        lines = [f"{saved}; no trial was spared to audit it (--audit-share), so what it cost is not known"]
    blocks.insert(0, Text([f"{line[0].upper()}{line[1:]}." for line in lines]))
    blocks += _audit(ledger, search)
    return Told(lead, blocks)


def _rungs(search: pd.DataFrame, rungs: list[int]) -> Table:
    rows = []
    for rung, step in enumerate(rungs):
        reached = search["steps"] >= step
        stopped = (search["ending"] == "stopped") & (search["steps"] == step)
        spared = search["spared"] == rung
        rows.append([str(rung), f"{step:,}", f"{reached.sum():,}", f"{stopped.sum():,}", f"{spared.sum():,}"])
    return Table(["rung", "step", "trials that reached it", "stopped there", "spared there"], rows, range(5))


def _audit(ledger: Ledger, search: pd.DataFrame) -> list[Block]:
    completed = search[search["ending"] == "completed"]
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    if not (completed["spared"] >= 0).any() or not objectives:
        return []
    frame = agreement(ledger, objectives)
    rows = [
        [
            metric_label(row["metric"]),
            f"{row['step']:,}",
            _number(row["rho"]),
            "none" if pd.isna(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}",
            str(row["n"]),
            str(row["n_spared"]),
        ]
        for row in frame.to_dict("records")
    ]
    columns = ["score", "step", "rank correlation with the end", "95 % interval", "trials", "of them spared"]
    return [Table(columns, rows, range(1, 6))]


def _number(value: float) -> str:
    return "unknown" if pd.isna(value) else f"{value:.2f}"
