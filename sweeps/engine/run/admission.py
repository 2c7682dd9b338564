"""Admission: when configurations are asked for, and when trials that have come to a rung are judged.

Two policies: `Immediate`, as soon as a worker is free (here), and `Cohorts`, in batches (`cohorts.py`).
"""

from collections.abc import Mapping
from typing import Any, Protocol

from sweeps.engine.run.judge import Judge
from sweeps.engine.run.proposals import Proposals
from sweeps.engine.run.trials import Trial, renumber


class Admission(Protocol):
    """The decisions about the trials of a search. It has no say in confirmations, which all run to their end."""

    def restore(self, trials: Mapping[str, Trial]) -> None:
        """Take over the trials, by id, that earlier invocations have written down."""

    def fill(self) -> None:
        """Called when no trial waits for a worker: queue the next ones, if it is time for them."""

    def pauses(self, trial: Trial) -> bool:
        """Whether the trial may have to wait at its next rung, so that its worker must hand over its state."""

    def arrive(self, trial: Trial, step: int, state: Any) -> bool:
        """A trial has reported at a rung. True if it goes on at once; otherwise it has ended, or waits."""

    def note_end(self, trial: Trial) -> None:
        """A trial has ended by itself: it diverged, was refused or failed."""


class Immediate:
    """Asks for a configuration when a worker is free, and judges a trial against those that came to the rung before.

    No worker waits. Which trials there are, and which of them go on, depends on which worker is done first.
    """

    def __init__(self, proposals: Proposals, judge: Judge) -> None:
        self._proposals, self._judge = proposals, judge

    def restore(self, trials: Mapping[str, Trial]) -> None:
        groups: dict[int, list[Trial]] = {}
        for trial in renumber(trials.values()):
            self._proposals.trials[trial.id] = trial
            groups.setdefault(trial.number, []).append(trial)
            for step in sorted(trial.reports):
                self._judge.record(trial, trial.reports[step])
        # Another seed than before: a sampler with the first one would repeat draws that are already in the ledger.
        self._proposals.restart_search(known=len(groups))
        for number in sorted(groups):
            self._proposals.restore(number, groups[number])

    def fill(self) -> None:
        proposals = self._proposals
        queued = 0
        # An `ask` that finds nothing new makes the proposals complete, so this ends.
        while queued < proposals.ahead and not proposals.complete:
            number = proposals.next_number()
            if candidate := proposals.ask(number):
                proposals.add(number, candidate)
                proposals.waiting.extend(candidate.trials)
                queued += 1

    def pauses(self, trial: Trial) -> bool:
        return False

    def arrive(self, trial: Trial, step: int, state: Any) -> bool:
        if step == self._judge.steps[-1]:
            self._judge.end(trial, "completed", "")
        elif step < max(trial.reports) or trial.spared >= 0:
            # Either it is trained again after an interruption, and this rung has let it through before. Or the audit
            # has spared it: then it runs to its end.
            return True
        elif self._judge.apply(self._judge.rungs.judge(trial.id, step), trial, step):
            return True
        self.note_end(trial)
        return False

    def note_end(self, trial: Trial) -> None:
        self._proposals.tell(trial.number)
