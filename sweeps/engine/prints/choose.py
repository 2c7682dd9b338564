"""Which configuration of a run is printed, and what its short trials promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.frontier.answer import Frontier, frontier
from analysis.ledger.files import read_table
from analysis.ledger.load import Ledger, LedgerError, contract_facts
from analysis.ledger.schema import DATASETS
from analysis.ledger.units import counted
from analysis.statistics.fronts import knee
from enhance.config import Scalar
from sweeps.engine.sweep import KNOWN_BEFORE, METRICS

SHORTEST_ID = 4

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """A configuration of a run: its flat leaves without train.steps, and what is known of its trials.

    `objectives` are those of the run that training changes, `searched` the leaves that it varied, and `data` the spec
    of its data. `origin` is what the print's ledger records: see `_origin`.
    """

    config: Mapping[str, Scalar]
    steps: int
    objectives: tuple[str, ...]
    searched: tuple[str, ...]
    data: str
    origin: Mapping[str, Any]


def choose(
    ledger: Ledger,
    *,
    trial: str | None = None,
    front: int | None = None,
    at_knee: bool = False,
    best: str | None = None,
) -> Chosen:
    """The configuration of a trial (the first digits of its ID), of the front's row `front`, at the knee of the front,
    or the best by one metric (default: the run's first objective): confirmed ones first, then completed ones.

    Raises LedgerError if there is no such one, or nothing completed.
    """
    rows = _rows(ledger, "trials")
    objectives = tuple(own.metric for own in ledger.objectives if own.metric not in KNOWN_BEFORE) or ("psnr_db",)
    if trial is not None:
        own = _one(ledger, rows, trial)
        return _chosen(ledger, rows, own["configuration"], f"trial {own['trial']}", objectives, only=own)
    found = frontier([ledger])
    if front is not None:
        digest, how = _on_front(found, front), f"row {front} of the front"
    elif at_knee:
        digest, how = _at_knee(found), "the knee of the front"
    else:
        metric = best or objectives[0]
        digest, how = _best(found, metric), f"the configuration with the best {metric}"
    return _chosen(ledger, rows, digest, how, objectives)


def _rows(ledger: Ledger, dataset: str) -> list[Row]:
    """The rows of a dataset as plain Python values: a configuration must not have passed through pandas' floats."""
    table, _ = read_table(ledger.path, dataset, DATASETS[dataset].key)
    return [] if table is None else table.to_pylist()


def _one(ledger: Ledger, rows: Sequence[Row], digits: str) -> Row:
    found = {row["trial"]: row for row in rows if row["trial"].startswith(digits)}
    if len(digits) < SHORTEST_ID or len(found) != 1:
        few = f"; give at least {SHORTEST_ID} digits" if len(digits) < SHORTEST_ID else ""
        raise LedgerError(f"--trial {digits}: {counted(len(found), 'trial')} of {ledger.path} begin like that{few}")
    return next(iter(found.values()))


def _on_front(found: Frontier, number: int) -> str:
    rows = found.ranked[found.ranked["number"] == number]
    if rows.empty:
        count = int(found.ranked["front"].sum())
        raise LedgerError(f"--front {number}: the front has rows 1 to {count}; `teststrip frontier` shows them")
    return str(rows["configuration"].iloc[0])


def _at_knee(found: Frontier) -> str:
    on = found.ranked[found.ranked["front"]]
    points = on[[own.column for own in found.objectives]].to_numpy(dtype=np.float64)
    place = knee(points, [own.maximize for own in found.objectives])
    if place is None:
        raise LedgerError("--knee: this front has no knee; choose one of its rows with --front N")
    return str(on["configuration"].iloc[place])


def _best(found: Frontier, metric: str) -> str:
    column = f"metric.{metric}"
    known = [name for name in METRICS if f"metric.{name}" in found.ranked]
    if metric not in METRICS or column not in found.ranked or not found.ranked[column].notna().any():
        raise LedgerError(f"--best {metric}: the run has no such metric; choose from {', '.join(known)}")
    order = found.ranked.sort_values([column, "configuration"], ascending=[METRICS[metric] == "minimize", True])
    return str(order["configuration"].iloc[0])


def _chosen(
    ledger: Ledger, rows: Sequence[Row], digest: str, how: str, objectives: tuple[str, ...], only: Row | None = None
) -> Chosen:
    own = [row for row in rows if row["configuration"] == digest]
    completed = [row for row in own if row["ending"] == "completed"]
    confirmed = [row for row in completed if row["stage"] == "confirm"]
    # A trial that was stopped promises what it had reached.
    told = confirmed or completed or ([only] if only is not None else [])
    if not told:
        raise LedgerError(f"{how}: none of the trials of this configuration has scores")
    names = [name for name in own[-1] if name.startswith("config.") and own[-1][name] is not None]
    config = {name.removeprefix("config."): own[-1][name] for name in names}
    del config["train.steps"]
    searched = contract_facts(ledger).get("space")
    last = told[-1]
    return Chosen(
        config=config,
        steps=int(last["steps"]),
        objectives=objectives,
        searched=tuple(searched) if isinstance(searched, dict) else (),
        data=str(last["run.data_spec"]),
        origin=_origin(ledger, told, how),
    )


def _origin(ledger: Ledger, told: Sequence[Row], how: str) -> dict[str, Any]:
    """Where the print comes from: run, configuration, how it was chosen, and the scores of its short trials by seed."""
    metrics = [name for name in told[-1] if name.startswith("metric.") and told[-1][name] is not None]
    return {
        "run": str(ledger.path.absolute() if isinstance(ledger.path, Path) else ledger.path),
        "configuration": told[-1]["configuration"],
        "chosen": how,
        "stage": told[-1]["stage"],
        "steps": int(told[-1]["steps"]),
        "data": told[-1]["run.data"],
        "seeds": [int(row["seed"]) for row in told],
        "scores": {name.removeprefix("metric."): [_number(row.get(name)) for row in told] for name in metrics},
    }


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
