"""The judge: compares trials at the rungs, ends those that are stopped, and spares some of them for the audit."""

from collections.abc import Callable

from enhance.report import Report
from sweeps.engine.run.outcome import higher_is_better
from sweeps.engine.run.trials import Trial
from sweeps.engine.rungs import Verdict, build_rungs
from sweeps.engine.sweep import Sweep

End = Callable[[Trial, str, str], None]
"""Ends a trial with an ending and a reason, and writes both to the ledger."""


class Judge:
    """The stopping rule of a sweep, with what the trials of its search have reached at each rung."""

    def __init__(self, sweep: Sweep, end: End) -> None:
        self.sweep, self.end = sweep, end
        self.steps = sweep.budget.rung_steps()
        self.rungs = build_rungs(sweep.stopping, self.steps, sweep.budget.reduction)

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
    return int(trial_id[:8], 16) / 2**32
