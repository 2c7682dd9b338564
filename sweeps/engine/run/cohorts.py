"""A reproducible search: configurations asked for in batches of a fixed size, rungs decided on complete cohorts.

Elsewhere what is suggested and who goes on depend on which worker is done first. Here nothing does: a batch is asked
for when the one before has ended altogether, from a sampler that is built anew from all that has ended, in the order of
the numbers; and a rung is decided when every trial of the batch has come to it. So the same command gives the same
trials, endings and reports with one worker and with many. Trials wait at rungs: their state is kept meanwhile, if it is
small, and goes to whichever worker is free then; otherwise they are trained again from the beginning, to the same bits.

A resumed run goes through the same decisions once more, with the reports that are in the ledger already.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeps.engine.protocol import Progress
from sweeps.engine.run.controller import Book, Candidate, Known, RunController
from sweeps.engine.run.outcome import higher_is_better
from sweeps.engine.run.study import SeedResult
from sweeps.engine.run.trials import RunContext, Trial
from sweeps.engine.sweep import Sweep

SMALLEST_BATCH = 8


class CohortController(RunController):
    """The controller of a reproducible search."""

    _members: list[Trial]  # of the batch, those that are still in it
    _level: int  # the rung that they are on their way to
    _earlier: Mapping[str, Trial]  # by id, what an earlier invocation has done and this one has not come to yet

    def __init__(
        self,
        sweep: Sweep,
        ledger: Book,
        context: RunContext,
        listener: Callable[[Trial], None] | None = None,
        journal: Path | None = None,
        history: Sequence[Known] = (),
    ) -> None:
        super().__init__(sweep, ledger, context, listener, journal, history)
        self._members, self._level, self._earlier = [], 0, {}

    @property
    def batch(self) -> int:
        """Configurations asked for at once: enough that one of them can come to the last rung."""
        whole: int = self.sweep.budget.reduction ** (self.sweep.budget.rungs - 1)
        return whole * max(1, -(-SMALLEST_BATCH // whole))

    def _take_up_all(self, searched: Mapping[str, Trial]) -> None:
        self._earlier = searched

    def _pauses(self, trial: Trial) -> bool:
        return trial.stage == "search" and self._level < len(self.rung_steps) - 1

    def _fill(self) -> None:
        while not self._waiting and not self._members and not self._all_given():
            self._ask_batch()
            self._settle()
        if not self._waiting and not self._members and not self._confirming:
            self._confirm()

    def _ask_batch(self) -> None:
        self.search = self._new_search(known=len(self._candidates))
        for number in sorted(self._candidates):
            candidate = self._candidates[number]
            first = candidate.trials[0]
            candidate.ticket = self.search.remember(first.values, self._results(candidate.trials), first.label)
        start = len(self._candidates)
        for number in range(start, min(start + self.batch, self.sweep.budget.trials)):
            if not self.exhausted:
                self._ask(number)
        self._level = 0
        self._gather()

    def _adopt(self, candidate: Candidate, number: int) -> None:
        candidate.trials = [self._earlier.get(trial.id, trial) for trial in candidate.trials]
        self.trials |= {trial.id: trial for trial in candidate.trials}
        self._candidates[number] = candidate
        self._members += candidate.trials

    def _heard(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """A trial of this batch says nothing yet, even where an earlier invocation knows how it ended."""
        if any(trial in self._members for trial in trials):
            return [SeedResult("failed", {}) for _ in trials]
        return super()._heard(trials)

    def _gather(self) -> None:
        """Give out those members that have not come to the level yet."""
        step = self.rung_steps[self._level]
        self._waiting.extend(trial for trial in self._members if step not in trial.reports and not trial.ending)

    def _arrive(self, trial: Trial, step: int, progress: Progress) -> bool:
        if trial.stage == "confirm":
            return super()._arrive(trial, step, progress)
        if step < self.rung_steps[self._level]:
            return True
        trial.state, trial.wall_before_s = progress.state, trial.wall_s
        self._settle()
        return False

    def _settle(self) -> None:
        """Decide as many levels as all members have come to."""
        while self._members:
            step = self.rung_steps[self._level]
            if any(step not in trial.reports and not trial.ending for trial in self._members):
                return
            arrived = [trial for trial in self._members if step in trial.reports]
            self._members = self._last(arrived) if self._level == len(self.rung_steps) - 1 else self._cut(arrived, step)
            self._level += 1
            if self._members:
                self._gather()

    def _last(self, arrived: list[Trial]) -> list[Trial]:
        for trial in arrived:
            if not trial.ending:
                self._end(trial, "completed", "")
        return []

    def _cut(self, arrived: list[Trial], step: int) -> list[Trial]:
        """Of those that came to the rung, the ones that go on."""
        compared = [trial for trial in arrived if trial.spared < 0 or self.rung_steps[trial.spared] >= step]
        for trial in compared:
            self.rungs.record(trial.id, step, higher_is_better(trial.reports[step], self.sweep))
        verdicts = self.rungs.cohort([trial.id for trial in compared], step)
        going = []
        for trial in arrived:
            if trial.ending == "stopped" and max(trial.reports) == step:
                continue  # an earlier invocation had decided so far
            if self._obey(trial, step, verdicts.get(trial.id)):
                going.append(trial)
        return going

    def _tell(self, candidate: Candidate) -> None:
        """The next batch's sampler is built from everything that has ended."""
