"""The judge: compares trials at the rungs, stops the worse ones, and spares some of them for the audit.

Beside it: what an outcome says to the search, and which outcomes are confirmed.
"""

from collections.abc import Callable, Mapping, Sequence

from enhance.report import Report
from sweeps.engine.run.study import SeedResult
from sweeps.engine.run.trials import Trial
from sweeps.engine.rungs import Patience, Verdict, build_rungs
from sweeps.engine.sweep import KNOWN_BEFORE, METRICS, Sweep

_ONLY_RUNG = (1, 2)
"""Rung steps for one decision, at the first: the last rung of a rule stops nobody."""

End = Callable[[Trial, str, str], None]
"""Ends a trial with an ending and a reason, and writes both to the ledger."""


class Judge:
    """The stopping rule of a sweep, with what the trials of its search have reached at each rung."""

    def __init__(self, sweep: Sweep, end: End) -> None:
        self.sweep, self.end = sweep, end
        self.steps = sweep.budget.rung_steps()
        budget = sweep.budget
        self.rungs = (
            Patience(self.steps, budget.patience)
            if budget.patience
            else build_rungs(sweep.stopping, self.steps, budget.reduction)
        )

    def record(self, trial: Trial, report: Report) -> None:
        """Let the report count in comparisons, unless the trial is there only for the audit or the confirmation.

        Without the audit a spared trial would not have come further than the rung at which it was spared: what it
        reaches later must not decide about others.
        """
        if trial.stage == "search" and (trial.spared < 0 or report.step <= self.steps[trial.spared]):
            self.rungs.record(trial.id, report.step, higher_is_better(report, self.sweep))

    def apply(self, verdict: Verdict, trial: Trial, step: int) -> bool:
        """Whether the trial goes on after a verdict. If not it ends as "stopped", unless the audit spares it."""
        if verdict.goes_on:
            return True
        if _coin(trial.id) < self.sweep.budget.audit_share:
            trial.spared = self.steps.index(step)
            return True
        self.end(trial, "stopped", verdict.why)
        return False


def _coin(trial_id: str) -> float:
    """A number in [0, 1) from a trial's identity alone, so that the audit spares the same trials in every order."""
    # Eight hex digits are 32 bits of a SHA-256: uniform, and finer than any share that is asked for.
    return int(trial_id[:8], 16) / 2**32


# --- outcomes ----------------------------------------------------------------------------------------------------


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
    # A bound is meant for the full budget: the score of a stopped trial must not count as a violation of it.
    known = sweep.constraints if trial.ending == "completed" else KNOWN_BEFORE
    measured = {name: metrics[name] for name in sweep.constraints if name in known and name in metrics}
    return SeedResult(trial.ending or "failed", values, measured, trial.reason)


def best(completed: Mapping[int, Sequence[tuple[float, ...]]], count: int) -> list[int]:
    """The numbers of the `count` best configurations, which are confirmed, or of all if there are fewer, best first.

    `completed` has the objectives of every seed for each configuration, signed so that higher is better; seeds are
    averaged. With several objectives the front comes first, and within it the points that keep it broad (`rungs`).
    """
    # Only the places are used, not who goes on: `reduction` has no effect here.
    rungs = build_rungs("pareto", _ONLY_RUNG, reduction=2)
    for number, seeds in completed.items():
        rungs.record(str(number), 1, tuple(sum(column) / len(column) for column in zip(*seeds, strict=True)))
    verdicts = rungs.cohort([str(number) for number in completed], 1) if completed else {}
    return sorted(completed, key=lambda number: (verdicts[str(number)].place, number))[:count]
