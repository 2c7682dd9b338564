"""Warm start: what earlier runs, of this sweep or of another, say about points of this sweep's space.

A configuration is used where it is one that this sweep could have tried: the same data, objectives, rungs and leaves,
its searched values inside today's space. The space itself may have changed, and so may what was searched and what was
fixed. Everything else is counted, with the reason. Trials of another version of the code are used: they teach the
sampler where to look and are no results of this run.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from analysis.ledger.load import load
from analysis.ledger.location import Location
from enhance.config import ConfigError, Scalar, flatten
from sweeps.engine.run.study import PriorResult, SeedResult
from sweeps.engine.space import Choice, Integer, Range, When, inner
from sweeps.engine.sweep import KNOWN_BEFORE, Sweep

_COLUMNS = {"parameters": "cost.parameters"}
"""Where metrics stand that are no `metric.*` column."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class History:
    """What can be used, in the order in which it was tried; the number of other trials by reason; notes on files."""

    known: tuple[PriorResult, ...]
    refused: Mapping[str, int]
    notes: tuple[str, ...]


class _Refused(ValueError):
    """An earlier trial that says nothing here; its text is the reason."""


def history(run: Location, sweep: Sweep, data_fingerprint: str) -> History:
    """What the ledger in `run` says about points of the sweep's space. Confirmations are left out.

    Raises analysis.LedgerError where `run` holds no ledger that can be read.
    """
    ledger = load(run)
    reports = _by_trial(ledger.reports)
    search = ledger.trials[ledger.trials["stage"] == "search"].sort_values(["time.ended", "trial"])
    known: dict[tuple[tuple[str, Scalar], ...], PriorResult] = {}
    refused: Counter[str] = Counter()
    for row in search.to_dict("records"):
        try:
            values, result = _accepted(row, reports.get(row["trial"], []), sweep, data_fingerprint)
        except _Refused as reason:
            refused[str(reason)] += 1
            continue
        point = tuple(values.items())
        before = known[point].seeds if point in known else ()
        known[point] = PriorResult(values, (*before, result))
    return History(tuple(known.values()), dict(refused), ledger.notes)


def _by_trial(reports: pd.DataFrame) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in reports.sort_values("step").to_dict("records"):
        rows.setdefault(row["trial"], []).append(row)
    return rows


def _accepted(row: Row, reports: Sequence[Row], sweep: Sweep, data: str) -> tuple[dict[str, Scalar], SeedResult]:
    """A trial's point of the space and its result; raises _Refused."""
    if row.get("run.data") != data:
        raise _Refused(f"other data ({row.get('run.data')}, here {data})")
    if row["ending"] == "failed":
        raise _Refused("failed, which says nothing about its configuration")
    values = _values(row, sweep)
    _check_leaves(row, values, sweep)
    _check_rungs(row, [report["step"] for report in reports], sweep)
    objectives = {int(report["step"]): _metrics(sweep.objectives, report, row) for report in reports}
    return values, SeedResult(row["ending"], objectives, _measured(row, sweep), row["reason"])


def _values(row: Row, sweep: Sweep) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {}
    for name, entry in sweep.space.items():
        if isinstance(entry, When) and values.get(entry.name) != entry.value:
            continue
        there = row.get(f"config.{name}")
        if _missing(there):
            raise _Refused(f"it has no {name}, which is searched here")
        values[name] = _of_kind(inner(entry), there)
        if not inner(entry).contains(values[name]):
            raise _Refused(f"{name} lies outside {inner(entry)!r}")
    return values


def _check_leaves(row: Row, values: Mapping[str, Scalar], sweep: Sweep) -> None:
    """Every leaf of the whole configuration must be what it would be here, those that nobody has set included."""
    try:
        here = flatten(sweep.config(values))
    except ConfigError as error:
        raise _Refused(f"its configuration is refused here: {error.problems[0]}") from error
    there = {str(name).removeprefix("config."): value for name, value in row.items() if str(name).startswith("config.")}
    _check_budget(there.pop("train.steps", None), sweep.budget.steps)
    del here["train.steps"]
    for name in {**here, **there}:
        absent = _missing(there.get(name))
        if absent != (name not in here) or (not absent and there[name] != here[name]):
            raise _Refused(f"{name} is {'absent' if absent else there[name]}, here {here.get(name, 'absent')}")


def _check_budget(there: Any, here: int) -> None:
    if there != here:
        raise _Refused(f"other budget (train.steps is {there}, here {here})")


def _check_rungs(row: Row, steps: Sequence[int], sweep: Sweep) -> None:
    """A trial reports at every rung that it reaches: it has passed the first ones, a completed one all of them."""
    rungs = sweep.budget.rung_steps()
    if tuple(steps) != rungs[: len(steps)] or (row["ending"] == "completed" and len(steps) < len(rungs)):
        raise _Refused(f"other budget (rungs at {_listed(steps)}, here {_listed(rungs)})")


def _measured(row: Row, sweep: Sweep) -> dict[str, float]:
    """The constrained metrics that are known: of an unfinished trial, only those that no training changes."""
    known = [name for name in sweep.constraints if row["ending"] == "completed" or name in KNOWN_BEFORE]
    found = {name: row.get(_column(name)) for name in known}
    missing = [name for name, value in found.items() if _missing(value)]
    if missing and row["ending"] == "completed":
        raise _Refused(f"it has no {_listed(missing)}, which the constraints bound")
    return {name: float(cast(float, value)) for name, value in found.items() if name not in missing}


def _metrics(names: Sequence[str], report: Row, row: Row) -> tuple[float, ...]:
    found = {name: (row if name in _COLUMNS else report).get(_column(name)) for name in names}
    missing = [name for name, value in found.items() if _missing(value)]
    if missing:
        raise _Refused(f"it has no {_listed(missing)}, which is sought here")
    return tuple(float(cast(float, value)) for value in found.values())


def _column(metric: str) -> str:
    return _COLUMNS.get(metric, f"metric.{metric}")


def _of_kind(own: Range, value: Any) -> Scalar:
    """The value as the range has it: pandas turns whole numbers into floats where a column has gaps."""
    if isinstance(own, Choice):
        same = (
            choice for choice in own.values if choice == value and isinstance(choice, bool) == isinstance(value, bool)
        )
        return next(same, cast(Scalar, value))
    if isinstance(own, Integer) and isinstance(value, float) and value.is_integer():
        return int(value)
    return cast(Scalar, value)


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "none"
