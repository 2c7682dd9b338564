"""The head of a run: its question, what was known before, and key figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.frontier.table import estimate
from analysis.ledger.load import not_ended
from analysis.ledger.units import metric_label
from analysis.report.blocks import Table
from analysis.report.reading import Reading


@dataclass(frozen=True)
class Overview:
    """`figures` are (number, what it counts); `notes` say what was skipped or casts doubt on the answer."""

    name: str
    sweep: str
    question: str
    found: str
    figures: Sequence[tuple[str, str]]
    notes: Sequence[str]


def overview(reading: Reading) -> Overview:
    """The head of one run."""
    runs = reading.ledger.runs
    last = runs.iloc[-1]
    found = str(last["found"]) if "found" in runs and pd.notna(last["found"]) else ""
    sweep = str(last["sweep"]) if "sweep" in runs else ""
    return Overview(reading.name, sweep, str(last["question"]), found, _figures(reading), reading.ledger.notes)


def comparison(readings: Sequence[Reading]) -> Table:
    """A row per run: its question, its size, and the best value of the first objective."""
    rows = [
        (
            reading.name,
            str(reading.ledger.runs["question"].iloc[-1]),
            f"{len(trials):,}",
            _completed(trials),
            _front(reading),
            _best(reading),
        )
        for reading in readings
        # A list of one, which gives the frame a name inside the comprehension.
        for trials in [reading.ledger.read("trials", ["ending"])]
    ]
    columns = ("run", "question", "trials ended", "completed", "on the front", "best in the first objective")
    return Table(columns, rows, numbers=(2, 3, 4))


def _figures(reading: Reading) -> list[tuple[str, str]]:
    ledger = reading.ledger
    open_trials = not_ended(ledger)
    trials = ledger.read("trials", ["ending", "steps", "time.wall_s"])
    figures = [
        (f"{len(trials):,}", "trials ended" if len(trials) != 1 else "trial ended"),
        (_completed(trials), "completed"),
        *([(f"{open_trials:,}", "started, not ended")] if open_trials else []),
        (_front(reading), "on the front"),
        (f"{trials['steps'].sum():,.0f}", "steps trained"),
    ]
    if "time.wall_s" in trials:
        figures.append((duration_text(float(trials["time.wall_s"].sum())), "trial time"))
    return figures


def duration_text(seconds: float) -> str:
    """A duration in seconds, minutes or hours, whichever fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours = seconds / 3600
    return f"{seconds / 60:.0f} min" if hours < 1.5 else f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def _completed(trials: pd.DataFrame) -> str:
    return f"{int((trials['ending'] == 'completed').sum()):,}"


def _front(reading: Reading) -> str:
    return "0" if reading.results is None else f"{int(reading.results['front'].sum()):,}"


def _best(reading: Reading) -> str:
    if reading.results is None:
        return "none completed"
    metric = reading.ledger.objectives[0].metric
    # `rank` puts the best in the first objective on top.
    return f"{metric_label(metric)}: {estimate(reading.results.to_dict('records')[0], metric)}"
