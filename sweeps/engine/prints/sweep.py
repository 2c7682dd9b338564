"""A print as a sweep: one configuration times seeds, with reports at intervals and checkpoints.

Everything that carries out a sweep carries out a print: workers, clusters, signals, limits, the ledger and its lock.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.ledger.files import LedgerError, read_table
from analysis.ledger.location import Location
from analysis.ledger.units import counted, metric_text
from enhance.config import Scalar
from sweeps.engine.prints.choose import Chosen
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Budget, Sweep

NAME = "print"
REPORTS = 50
"""Reports and checkpoints of a print, unless --every says otherwise."""

LONGER = 4
"""A print so many times as long as its micro-run is told which settings rarely carry over."""

VARIED = "net.family"
"""The leaf that stands in the space of a print, since a sweep must have one; it has a single value."""


def print_sweep(chosen: Chosen, *, steps: int, every: int | None, patience: int) -> Sweep:
    """The sweep that prints a configuration. Raises SweepError."""
    origin = chosen.origin
    first = chosen.objectives[0]
    scores = [score for score in origin["scores"].get(first, []) if score is not None]
    known = f"{first} {metric_text(first, sum(scores) / len(scores))}" if scores else "no score"
    return _sweep(
        config=chosen.config,
        objectives=chosen.objectives,
        data=chosen.data,
        budget=Budget(trials=1, steps=steps, rungs=1, every=every or -(-steps // REPORTS), patience=patience),
        question=f"What does {origin['chosen']} of {origin['run']} reach in {steps:,} steps?",
        found=f"in {origin['steps']:,} steps {known}, over {counted(len(origin['seeds']), 'seed')}",
        origin=origin,
    )


def recorded_print(place: Location) -> Sweep:
    """The sweep of a print that has begun, from its ledger alone. Raises LedgerError."""
    table, _ = read_table(place, "runs", ["run"])
    row: dict[str, Any] = dict(table.slice(table.num_rows - 1).to_pylist()[0]) if table else {}
    if row.get("sweep") != NAME:
        raise LedgerError(f"--resume {place}: there is no print; start one with `teststrip print RUN --steps N --out`")
    facts = json.loads(row["contract"])
    fixed = dict(facts["fixed"])
    steps, rungs = int(fixed.pop("train.steps")), facts["rungs"]
    config = {**fixed, **{name: entry["values"][0] for name, entry in facts["space"].items()}}
    budget = Budget(
        trials=1, steps=steps, rungs=1, every=rungs[0], patience=facts.get("patience", 0), seeds=facts["seeds"]
    )
    return _sweep(
        config=config,
        objectives=tuple(facts["objectives"]),
        data=row["run.data_spec"],
        budget=budget,
        question=row["question"],
        found=row["found"],
        origin=json.loads(row["origin"]),
    )


def _sweep(
    *,
    config: Mapping[str, Scalar],
    objectives: tuple[str, ...],
    data: str,
    budget: Budget,
    question: str,
    found: str,
    origin: Mapping[str, Any],
) -> Sweep:
    return Sweep(
        name=NAME,
        question=question,
        found=found,
        space={VARIED: Choice(config[VARIED])},
        fixed={name: value for name, value in config.items() if name != VARIED},
        objectives=objectives,
        budget=budget,
        smoke=budget,
        full=budget,
        data=data,
        sampler="random",
        stopping="none",
        origin=origin,
    )


def advice(chosen: Chosen, steps: int) -> Iterator[str]:
    """Sentences on settings of a short run that rarely carry over to a long one."""
    config, ratio = chosen.config, steps / chosen.steps
    if ratio < LONGER:
        return
    schedule, lr = config.get("optimizer.schedule"), config["optimizer.lr"]
    how = "was chosen" if "optimizer.lr" in chosen.searched else "was used"
    then = (
        "its schedule is constant, and a decay usually ends better over a long training"
        if schedule == "constant"
        else f"its {schedule} schedule is laid over the new budget"
    )
    yield (
        f"optimizer.lr={lr:g} {how} over {chosen.steps:,} steps; over {steps:,} a lower one is often better and "
        f"diverges less. {then[0].upper()}{then[1:]}"
    )
    warmup = float(config.get("optimizer.warmup_share", 0.0))
    if warmup:
        before, now = (math.ceil(warmup * count) for count in (chosen.steps, steps))
        yield f"optimizer.warmup_share={warmup:g} is a share: the warm-up takes {now:,} steps here, and took {before:,}"
