"""Warm start: results of earlier runs, of this sweep or another, for points of this sweep's space.

A configuration is used if this sweep could have tried it: the data, objectives, rungs and leaves are the same, and its
values lie inside today's space. The space may have changed, and so may the split into searched and fixed leaves. All
other trials are counted by the reason why they cannot be used. Trials of other versions of the code are used: they only
teach the sampler where to look, and do not count as results of this run.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from analysis.ledger.load import load
from analysis.ledger.location import Location
from enhance.config import ConfigError, Scalar, added_leaves, flatten
from sweeps.engine.run.study import PriorResult, SeedResult
from sweeps.engine.space import Choice, Integer, Range, When, inner
from sweeps.engine.sweep import KNOWN_BEFORE, Sweep

_COLUMNS = {"parameters": "cost.parameters"}
"""The columns of metrics that are not in `metric.*`."""

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class History:
    """Usable configurations in the order tried; the number of other trials by reason; notes about damaged files."""

    known: tuple[PriorResult, ...]
    refused: Mapping[str, int]
    notes: tuple[str, ...]


class _Refused(ValueError):
    """An earlier trial that cannot be used; the text is the reason."""


def history(run: Location, sweep: Sweep, data_fingerprint: str) -> History:
    """The results in the ledger at `run` for points of the sweep's space, without its confirmations.

    Raises LedgerError if there is no readable ledger at `run`.
    """
    ledger = load(run)
    reports = _by_trial(ledger.reports)
    # In the order in which the earlier sampler heard of them: generations, and TPE's weights, depend on it.
    search = ledger.trials[ledger.trials["stage"] == "search"]
    known: dict[tuple[tuple[str, Scalar], ...], PriorResult] = {}
    refused: Counter[str] = Counter()
    for row in search.to_dict("records"):
        try:
            values, result = _accept(row, reports.get(row["trial"], []), sweep, data_fingerprint)
        except _Refused as reason:
            refused[str(reason)] += 1
            continue
        # Trials of one point are its seeds: the sampler hears of a configuration, not of each seed.
        point = tuple(values.items())
        before = known[point].seeds if point in known else ()
        known[point] = PriorResult(values, (*before, result))
    return History(tuple(known.values()), dict(refused), ledger.notes)


def _by_trial(reports: pd.DataFrame) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in reports.sort_values("step").to_dict("records"):
        rows.setdefault(row["trial"], []).append(row)
    return rows


def _accept(row: Row, reports: Sequence[Row], sweep: Sweep, data: str) -> tuple[dict[str, Scalar], SeedResult]:
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
    # A condition names an earlier entry of the space, so its value is known by now.
    for name, entry in sweep.space.items():
        if isinstance(entry, When) and not entry.holds(values):
            continue
        there = row.get(f"config.{name}")
        if _missing(there):
            raise _Refused(f"it has no {name}, which is searched here")
        values[name] = _of_kind(inner(entry), there)
        if not inner(entry).contains(values[name]):
            raise _Refused(f"{name} lies outside {inner(entry)!r}")
    return values


def _check_leaves(row: Row, values: Mapping[str, Scalar], sweep: Sweep) -> None:
    """Every leaf of the configuration must have the value that it would have here, defaults included."""
    try:
        config = sweep.config(values)
    except ConfigError as error:
        raise _Refused(f"its configuration is refused here: {error.problems[0]}") from error
    there = {str(name).removeprefix("config."): value for name, value in row.items() if str(name).startswith("config.")}
    # A ledger of an earlier release lacks the leaves that were added since.
    there |= {name: value for name, value in added_leaves(config).items() if _missing(there.get(name))}
    here = flatten(config)
    # The steps are a leaf too, but "other budget" says more than "train.steps is 600, here 60000".
    _check_budget(there.pop("train.steps", None), sweep.budget.steps)
    del here["train.steps"]
    # In both directions: a leaf that only the earlier trial has was trained with something that is not there today.
    for name in {**here, **there}:
        absent = _missing(there.get(name))
        if absent != (name not in here) or (not absent and there[name] != here[name]):
            raise _Refused(f"{name} is {'absent' if absent else there[name]}, here {here.get(name, 'absent')}")


def _check_budget(there: Any, here: int) -> None:
    if there != here:
        raise _Refused(f"other budget (train.steps is {there}, here {here})")


def _check_rungs(row: Row, steps: Sequence[int], sweep: Sweep) -> None:
    """The reports must be at the first rungs, one each; those of a completed trial at all rungs."""
    rungs = sweep.budget.rung_steps()
    if tuple(steps) != rungs[: len(steps)] or (row["ending"] == "completed" and len(steps) < len(rungs)):
        raise _Refused(f"other budget (rungs at {_listed(steps)}, here {_listed(rungs)})")


def _measured(row: Row, sweep: Sweep) -> dict[str, float]:
    """The constrained metrics that are known: for an unfinished trial only those that training does not change."""
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
        raise _Refused(f"it has no {_listed(missing)}, which is an objective here")
    return tuple(float(cast(float, value)) for value in found.values())


def _column(metric: str) -> str:
    return _COLUMNS.get(metric, f"metric.{metric}")


def _of_kind(own: Range, value: Any) -> Scalar:
    """The value in the type of the range: pandas makes floats of integers in a column with gaps."""
    if isinstance(own, Choice):
        # True == 1 in Python, so a choice of numbers would otherwise accept a boolean, and the reverse.
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
