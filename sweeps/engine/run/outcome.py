"""Reports of a trial as the rungs and the search need them."""

from enhance.report import Report
from sweeps.engine.run.study import SeedResult
from sweeps.engine.run.trials import Trial
from sweeps.engine.sweep import KNOWN_BEFORE, METRICS, Sweep


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
