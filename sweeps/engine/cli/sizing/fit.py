"""`--fit MINUTES`: the largest size of a fixed ladder that ends in time on this machine.

A few steps of some configurations are timed, alone, before Ray starts. From them follows how long each size of the
ladder would take on these workers, early stops and the confirmation included. What is chosen becomes a command with
--trials and --steps, which the ledger records: a run that is resumed keeps its size on whatever machine. The ladder is
fixed, so that machines of about the same speed choose the same size.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import optuna

from enhance.config import conflicts
from enhance.data import PatchStore
from sweeps.engine.cli.sizing.estimate import Pace, time_steps
from sweeps.engine.cli.sizing.workload import confirmation_steps, expected_evaluations, expected_steps
from sweeps.engine.designs import Point
from sweeps.engine.space import suggest
from sweeps.engine.sweep import Budget, Sweep

LADDER = (
    *((1 / 4, 1 / 8), (1 / 4, 1 / 6), (1 / 3, 1 / 6), (1 / 3, 1 / 4), (1 / 3, 1 / 3), (1 / 2, 1 / 3), (1 / 2, 1 / 2)),
    *((2 / 3, 1 / 2), (2 / 3, 2 / 3), (1, 2 / 3), (1, 1), (3 / 2, 1), (2, 1), (2, 3 / 2), (2, 2), (3, 2), (3, 3)),
    *((4, 3), (4, 4), (6, 4), (6, 6), (8, 8), (12, 12), (16, 16)),
)
"""Shares of the sweep's own trials and steps, ascending in both. The points of a design are not cut."""

POINTS, STEPS = 5, 4
"""Configurations that are timed, and steps of each. Networks of one space may differ tenfold in their cost."""

TIMING_S = 20.0
"""After this no further configuration is timed."""

CROWDED = 1.3
"""By so much a step is slower when every core trains than when one does: they share caches and memory."""

START_S, TRIAL_S = 30.0, 0.5
"""From the plan to Ray's first step, in which Ray starts and each worker loads torch; and around every trial."""


@dataclass(frozen=True)
class Fit:
    """A budget that was chosen, how long it should take in seconds, and the median pace that this was taken from."""

    budget: Budget
    seconds: float
    pace: Pace

    def words(self, minutes: float, again: str) -> str:
        """What was chosen and why, with the command that asks for it by its numbers."""
        size = f"{self.budget.trials} trials of up to {self.budget.steps} steps"
        late = "" if self.seconds <= 60 * minutes else ", the smallest size there is,"
        pace = f"{1000 * self.pace.step_s:.0f} ms per step, {self.pace.eval_s:.2f} s per evaluation"
        taken = f"{size}{late} should take about {self.seconds / 60:.1f} min ({pace})"
        return f"--fit {minutes:g}: {taken}; the same run by its numbers: {again}"


def fit(sweep: Sweep, store: PatchStore, device: str, workers: int, seconds: float) -> Fit:
    """Choose the largest size of the ladder that takes at most `seconds`, else the smallest.

    `workers` is the number of trials that train at once, 0 for this process. Raises what the configurations raise.
    """
    paces = _paces(sweep, store, device)
    middle = Pace(statistics.mean(pace.step_s for pace in paces), statistics.mean(pace.eval_s for pace in paces))
    tried = [Fit(budget, expected_s(sweep, budget, middle, workers), middle) for budget in sizes(sweep)]
    fitting = [found for found in tried if found.seconds <= seconds]
    return fitting[-1] if fitting else tried[0]


def sizes(sweep: Sweep) -> list[Budget]:
    """The sweep's budget at each rung of the ladder, smallest first, each once."""
    own = sweep.budget
    # Whole multiples, so that every rung is `reduction` times the one before.
    unit = own.reduction ** (own.rungs - 1)
    found = {}
    for trials, steps in LADDER:
        count = own.trials if sweep.design is not None else max(1, round(own.trials * trials))
        size = (count, unit * max(1, round(own.steps * steps / unit)))
        found[size] = dataclasses.replace(own, trials=size[0], steps=size[1])
    return list(found.values())


def expected_s(sweep: Sweep, budget: Budget, pace: Pace, workers: int) -> float:
    """Seconds that the sweep should take with this budget, measurements of latency and the confirmation included."""
    crowd = CROWDED if workers > 1 else 1.0
    steps = expected_steps(budget, sweep.stopping) - confirmation_steps(budget)
    confirmed = budget.confirm * budget.confirm_seeds
    evaluations = expected_evaluations(budget, sweep.stopping) - confirmed * len(budget.rung_steps())
    search = pace.seconds(steps, evaluations) + budget.trials * budget.seeds * TRIAL_S
    # The last of them may run alone.
    rounds = math.ceil(confirmed / max(1, workers))
    last = rounds * (pace.seconds(budget.steps, len(budget.rung_steps())) + TRIAL_S)
    measured = 0.0 if sweep.cost is None else budget.trials * sweep.cost.max_s
    return (START_S if workers else 0.0) + measured + crowd * (search / max(1, workers) + last)


def explicit(argv: Sequence[str], budget: Budget) -> list[str]:
    """The arguments with --trials and --steps in the place of --fit."""
    kept, words = [], iter(argv)
    for word in words:
        if word == "--fit":
            next(words, None)
        elif not word.startswith("--fit="):
            kept.append(word)
    return [*kept, "--trials", str(budget.trials), "--steps", str(budget.steps)]


def _paces(sweep: Sweep, store: PatchStore, device: str) -> list[Pace]:
    began, paces = time.monotonic(), []
    for values in _points(sweep):
        paces.append(time_steps(sweep, values, store, device, STEPS))
        if len(paces) == POINTS or time.monotonic() - began > TIMING_S:
            break
    return paces


def _points(sweep: Sweep) -> Iterator[Point]:
    """Configurations to time: the first enqueued one, then points of the design or random ones; always the same."""
    points = [dict(values) for values in list(sweep.enqueue.values())[:1]]
    if sweep.design is not None:
        own = [dict(values) for _, values in sweep.design.points(sweep.space)[: sweep.budget.trials]]
        points += own[:: max(1, len(own) // POINTS)]
    else:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        points += [suggest(study.ask(), sweep.space) for _ in range(4 * POINTS)]
    able = [values for values in points if not conflicts(sweep.config(values))]
    # Where every one is in conflict the trials will say why.
    yield from able or points[:1]
