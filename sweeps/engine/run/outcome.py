"""Outcomes of trials as the rungs, the search and the confirmation need them."""

from collections.abc import Mapping, Sequence

from enhance.report import Report
from sweeps.engine.run.study import SeedResult
from sweeps.engine.run.trials import Trial
from sweeps.engine.rungs import build_rungs
from sweeps.engine.sweep import KNOWN_BEFORE, METRICS, Sweep

_ONLY_RUNG = (1, 2)  # a rung rule with one decision: at its first step


def higher_is_better(report: Report, sweep: Sweep) -> tuple[float, ...]:
    """The objectives of a report, with signs such that higher is better."""
    names = sweep.objectives
    return tuple((1 if METRICS[name] == "maximize" else -1) * report.metrics[name] for name in names)


def seed_result(trial: Trial, sweep: Sweep) -> SeedResult:
    """What the search is told about a trial. One that is still running counts as failed: it says nothing yet."""
    values = {
        step: tuple(report.metrics[name] for name in sweep.objectives) for step, report in sorted(trial.reports.items())
    }
    last = trial.last()
    metrics = last.metrics if last else {}
    known = sweep.constraints if trial.ending == "completed" else KNOWN_BEFORE
    measured = {name: metrics[name] for name in sweep.constraints if name in known and name in metrics}
    return SeedResult(trial.ending or "failed", values, measured, trial.reason)


def best(completed: Mapping[int, Sequence[tuple[float, ...]]], count: int) -> list[int]:
    """The numbers of the `count` best configurations, which are confirmed, or of all if there are fewer, best first.

    `completed` has the objectives of every seed for each configuration, signed so that higher is better; seeds are
    averaged. With several objectives the front comes first, and within it the points that keep it broad (`rungs`).
    """
    rungs = build_rungs("pareto", _ONLY_RUNG, reduction=2)
    for number, seeds in completed.items():
        rungs.record(str(number), 1, tuple(sum(column) / len(column) for column in zip(*seeds, strict=True)))
    verdicts = rungs.cohort([str(number) for number in completed], 1) if completed else {}
    return sorted(completed, key=lambda number: (verdicts[str(number)].place, number))[:count]
