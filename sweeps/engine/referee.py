"""The referee of a run: says which trial is next, judges its reports at the rungs, and writes everything down.

Knows the search, the rungs and the ledger; knows nothing of Ray. Ray Tune (`tuning.py`) and the in-process runner
(`inline.py`) are two ways of carrying assignments to workers and their progress back here. Nothing is acted upon
before it is durable: a trial starts after its row in `starts`, goes on after its row in `reports`, and its end is told
to the sampler after its row in `trials`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from enhance.config import Scalar, flatten
from enhance.report import Report
from sweeps.engine.ledger import Ledger, Row
from sweeps.engine.messages import Assignment, Progress
from sweeps.engine.records import (
    Setting,
    Trial,
    report_from_row,
    report_row,
    start_row,
    trial_identity,
    trial_row,
)
from sweeps.engine.rungs import Halving
from sweeps.engine.search import Search, SeedResult
from sweeps.engine.space import chosen
from sweeps.engine.sweep import METRICS, Sweep

SAME_AGAIN_LIMIT = 50
"""After so many suggestions in a row that were tried before, the space is taken to be exhausted."""


@dataclass
class Candidate:
    """One configuration with all of its seeds; `ticket` is what the search knows it by."""

    ticket: int
    trials: list[Trial] = field(default_factory=list)


class Referee:
    """One driver's hold on one run. `listener` is called with every trial whose state has changed."""

    def __init__(
        self, sweep: Sweep, ledger: Ledger, setting: Setting, listener: Callable[[Trial], None] | None = None
    ) -> None:
        self.sweep, self.ledger, self.setting = sweep, ledger, setting
        self.listener = listener or (lambda trial: None)
        self.rung_steps = sweep.budget.rung_steps()
        self.rungs = Halving(self.rung_steps, sweep.budget.reduction)
        self.search = Search(sweep)
        self.trials: dict[str, Trial] = {}
        self.exhausted = False
        self._candidates: dict[int, Candidate] = {}
        self._waiting: deque[Trial] = deque()

    # --- what a runner calls -------------------------------------------------------------------------------------

    def next_assignment(self) -> Assignment | None:
        """The next trial to train, recorded as started; None once all configurations have been given out."""
        while not self._waiting:
            if self.exhausted or len(self._candidates) >= self.sweep.budget.trials:
                return None
            self._ask()
        trial = self._waiting.popleft()
        if trial.started is None:
            trial.started = datetime.now(UTC)
            self.ledger.commit("starts", [start_row(trial, self.sweep.name)])
        self.listener(trial)
        return Assignment(trial=trial.id, config=flatten(trial.config), seed=trial.seed, rung_steps=self.rung_steps)

    def hear(self, progress: Progress) -> bool:
        """Take a worker's progress; True if the trial goes on, False if it has ended and the worker is free."""
        trial = self.trials[progress.trial]
        trial.wall_s, trial.parameters, trial.host = progress.wall_s, progress.parameters, progress.host
        if progress.report is not None:
            self._hear_report(trial, progress.report)
        if progress.ending:
            self._end(trial, progress.ending, progress.reason)
        elif progress.report is not None:
            self._judge(trial, progress.report.step)
        self.listener(trial)
        return not trial.ending

    def lost(self, trial_id: str, reason: str) -> None:
        """The runner gave a trial up: its worker died more often than it may."""
        trial = self.trials[trial_id]
        if not trial.ending:
            self._end(trial, "failed", reason)
            self.listener(trial)

    @property
    def finished(self) -> bool:
        """Whether everything that the budget asks for has ended."""
        all_given = self.exhausted or len(self._candidates) >= self.sweep.budget.trials
        return all_given and all(trial.ending for trial in self.trials.values())

    # --- resuming ------------------------------------------------------------------------------------------------

    def restore(self, starts: Sequence[Row], reports: Sequence[Row], trials: Sequence[Row]) -> None:
        """Take up what earlier invocations have written: ended trials count, started ones will be run again.

        A trial that was running is trained from its beginning; a report that it makes again is bit-equal to the one
        in the ledger, and is not written twice.
        """
        groups: dict[int, list[Trial]] = {}
        for row in starts:
            trial = self._from_row(row)
            self.trials[trial.id] = trial
            groups.setdefault(trial.number, []).append(trial)
        for row in reports:
            trial = self.trials[row["trial"]]
            trial.reports[row["step"]] = report_from_row(row)
            self._record(trial, trial.reports[row["step"]])
        for row in trials:
            trial = self.trials[row["trial"]]
            trial.ending, trial.reason = row["ending"], row["reason"]
            trial.wall_s, trial.parameters = row["time.wall_s"], row["cost.parameters"]
        self.search = Search(self.sweep, known=len(groups))
        for number in sorted(groups):
            self._take_up(number, groups[number])

    def _take_up(self, number: int, group: list[Trial]) -> None:
        """Put one configuration of an earlier invocation back where it stood, with the seeds it had not begun."""
        first = group[0]
        begun = {trial.seed for trial in group}
        missing = [seed for seed in range(self.sweep.budget.seeds) if seed not in begun]
        group += [self._trial(number, first.values, first.label, seed) for seed in missing]
        self.trials |= {trial.id: trial for trial in group}
        unfinished = [trial for trial in group if not trial.ending]
        if unfinished:
            self._candidates[number] = Candidate(self.search.adopt(first.values), group)
            self._waiting.extend(unfinished)
        else:
            self._candidates[number] = Candidate(self.search.remember(first.values, self._results(group)), group)

    def _from_row(self, row: Row) -> Trial:
        values = {name: row.get(f"config.{name}") for name in self.sweep.space}
        trial = self._trial(row["number"], chosen(self.sweep.space, values), row["label"], row["seed"])
        if trial.id != row["trial"]:
            raise ValueError(f"trial {row['trial']} of the ledger has another identity here ({trial.id})")
        trial.started = row["started"]
        return trial

    # --- inside --------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask the search for configurations until one is new; give up where it only repeats itself."""
        number = 1 + max(self._candidates, default=-1)
        for _ in range(SAME_AGAIN_LIMIT):
            ticket, values, label = self.search.ask()
            group = [self._trial(number, values, label, seed) for seed in range(self.sweep.budget.seeds)]
            known = [self.trials[trial.id] for trial in group if trial.id in self.trials]
            if not known:
                self.trials |= {trial.id: trial for trial in group}
                self._candidates[number] = Candidate(ticket, group)
                self._waiting.extend(group)
                return
            # The same point again: the sampler hears the same answer, and nothing is computed twice.
            self.search.tell(ticket, self._results(known))
        self.exhausted = True

    def _trial(self, number: int, values: Mapping[str, Scalar], label: str, seed: int) -> Trial:
        config = self.sweep.config(values)
        return Trial(trial_identity(config, seed, self.setting), number, config, values, label, seed)

    def _hear_report(self, trial: Trial, report: Report) -> None:
        if report.step in trial.reports:  # made again, after a lost worker or driver: bit-equal, and in the ledger
            return
        trial.reports[report.step] = report
        self.ledger.commit("reports", [report_row(trial, report)])
        self._record(trial, report)

    def _record(self, trial: Trial, report: Report) -> None:
        objective = self.sweep.objectives[0]
        sign = 1 if METRICS[objective] == "maximize" else -1
        self.rungs.record(trial.id, report.step, sign * report.metrics[objective])

    def _judge(self, trial: Trial, step: int) -> None:
        if step == self.rung_steps[-1]:
            self._end(trial, "completed", "")
        elif step == max(trial.reports):  # at an earlier step it was let through before
            goes_on, why = self.rungs.judge(trial.id, step)
            if not goes_on:
                self._end(trial, "stopped", why)

    def _end(self, trial: Trial, ending: str, reason: str) -> None:
        trial.ending, trial.reason = ending, reason
        self.ledger.commit("trials", [trial_row(trial, self.sweep.name, self.rung_steps, self.setting)])
        candidate = self._candidates[trial.number]
        if all(member.ending for member in candidate.trials):
            self.search.tell(candidate.ticket, self._results(candidate.trials))

    def _results(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """What the search is told; a trial that is still running elsewhere says nothing yet."""
        names = self.sweep.objectives
        return [
            SeedResult(
                trial.ending or "failed",
                {step: tuple(report.metrics[name] for name in names) for step, report in sorted(trial.reports.items())},
            )
            for trial in trials
        ]
