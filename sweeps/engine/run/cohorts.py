"""A reproducible search: configurations asked for in batches of a fixed size, rungs decided on complete cohorts.

With `Immediate` admission, suggestions and decisions depend on which worker is done first. Here nothing does. A batch
is asked for when the one before has ended, from a sampler that is built anew from all results so far, in the order of
their numbers; and a rung is decided when every trial of the batch has come to it. So the same command gives the same
trials, endings and reports with one worker and with many.

Trials wait at rungs. If its state is small it is kept meanwhile, and the trial goes on in whichever worker is free;
otherwise the trial is trained again from the beginning, to the same bits. A resumed run makes the same decisions
again, from the reports that are already in the ledger.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.engine.run.judge import Judge
from sweeps.engine.run.proposals import Proposals
from sweeps.engine.run.study import SeedResult
from sweeps.engine.run.trials import Trial
from sweeps.engine.sweep import Budget

SMALLEST_BATCH = 8
"""A smaller batch would have the sampler rebuilt, and the workers wait for the slowest trial, more often."""


class Cohorts:
    """The admission policy of a reproducible search (`--reproducible`)."""

    def __init__(self, proposals: Proposals, judge: Judge) -> None:
        self._proposals, self._judge = proposals, judge
        # Those of the batch that are still in it, and the index of the rung that they are on their way to.
        self._members: list[Trial] = []
        self._level = 0
        self._earlier: Mapping[str, Trial] = {}

    def restore(self, trials: Mapping[str, Trial]) -> None:
        # Nothing is restored yet: the batches are asked for again, and each earlier trial then takes the place of the
        # new one with its id.
        self._earlier = trials

    def fill(self) -> None:
        # Where an earlier invocation has finished a whole batch, there is nothing to train until the next one.
        while not self._proposals.waiting and not self._members and not self._proposals.complete:
            self._ask_batch()
            self._decide()

    def pauses(self, trial: Trial) -> bool:
        return self._level < len(self._judge.steps) - 1

    def arrive(self, trial: Trial, step: int, state: Any) -> bool:
        # Its state was not kept, so it was trained again from the beginning, and this rung is already decided.
        if step < self._judge.steps[self._level]:
            return True
        trial.state, trial.wall_before_s = state, trial.wall_s
        self._decide()
        return False

    def note_end(self, trial: Trial) -> None:
        # The others may have waited only for this one.
        self._decide()

    def _ask_batch(self) -> None:
        proposals, budget = self._proposals, self._proposals.sweep.budget
        # A sampler that hears results as they come depends on their order, and its draws cannot be repeated after a
        # resume. So each batch gets a new one, seeded by its place and told everything in the order of the numbers.
        proposals.restart_search(known=len(proposals.candidates))
        for _, candidate in sorted(proposals.candidates.items()):
            first = candidate.trials[0]
            results = proposals.results(candidate.trials)
            candidate.ticket = proposals.search.remember(first.values, results, first.label)
        start = len(proposals.candidates)
        for number in range(start, min(start + batch_size(budget), budget.trials)):
            new = None if proposals.exhausted else proposals.ask(number, self._results)
            if new is not None:
                new.trials = [self._earlier.get(trial.id, trial) for trial in new.trials]
                proposals.add(number, new)
                # Those that have ended too: the others were compared with them, and must be again.
                self._members += new.trials
        self._level = 0
        self._queue_members()

    def _results(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """A trial of this batch has no result yet, even if an earlier invocation knows how it ended."""
        if any(trial in self._members for trial in trials):
            return [SeedResult("failed", {}) for _ in trials]
        return self._proposals.results(trials)

    def _queue_members(self) -> None:
        """Queue those members that have not come to the rung yet."""
        step = self._judge.steps[self._level]
        self._proposals.waiting.extend(t for t in self._members if step not in t.reports and not t.ending)

    def _decide(self) -> None:
        """Decide every rung to which all members have come."""
        # A loop, because a resumed run may find the reports of several rungs in the ledger.
        while self._members:
            step = self._judge.steps[self._level]
            if any(step not in trial.reports and not trial.ending for trial in self._members):
                return
            arrived = [trial for trial in self._members if step in trial.reports]
            if step == self._judge.steps[-1]:
                self._complete(arrived)
                self._members = []
            else:
                self._members = self._cut(arrived, step)
            self._level += 1
            if self._members:
                self._queue_members()

    def _complete(self, arrived: Sequence[Trial]) -> None:
        for trial in arrived:
            if not trial.ending:
                self._judge.end(trial, "completed", "")

    def _cut(self, arrived: Sequence[Trial], step: int) -> list[Trial]:
        """Judge the trials that came to a rung; returns those that go on."""
        # A trial that was spared at an earlier rung no longer counts. One that an earlier invocation spared here, or at
        # a later rung, does, as it did then.
        compared = [t for t in arrived if t.spared < 0 or self._judge.steps[t.spared] >= step]
        for trial in compared:
            self._judge.record(trial, trial.reports[step])
        verdicts = self._judge.rungs.cohort([trial.id for trial in compared], step)
        going = []
        for trial in arrived:
            # Stopped here by an earlier invocation: the same verdict again would end it, and write its row, twice.
            if trial.ending == "stopped" and max(trial.reports) == step:
                continue
            # There is no verdict on a trial that was spared at an earlier rung.
            verdict = verdicts.get(trial.id)
            # A trial that has ended went on from here, even if a lost report makes the verdict another one today.
            if verdict is None or trial.ending or self._judge.apply(verdict, trial, step):
                going.append(trial)
        return going


def batch_size(budget: Budget) -> int:
    """Configurations asked for at once: a multiple of those of which one comes to the last rung."""
    whole: int = budget.reduction ** (budget.rungs - 1)
    # The smallest multiple that is not below SMALLEST_BATCH: -(-a // b) is a / b rounded up.
    return whole * max(1, -(-SMALLEST_BATCH // whole))
