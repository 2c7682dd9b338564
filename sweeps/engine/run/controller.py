"""The controller of a run: says which trial is next, judges its reports at the rungs, and writes everything down.

Knows the search, the rungs and the ledger; knows nothing of Ray. Ray Tune (`ray_tune.py`) and the in-process runner
(`inline.py`) are two ways of carrying assignments to workers and their progress back here. Nothing is acted upon
before it is durable: a trial starts after its row in `starts`, goes on after its row in `reports`, and its end is told
to the sampler after its row in `trials`.

A run has two stages. The search asks for configurations and stops most of them early. The confirmation trains the best
ones again on fresh seeds; the sampler never hears of it. In what order trials are given out, and when a rung is
decided, is as soon as possible here, and in batches in `cohorts.py` (`--reproducible`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from enhance.config import Scalar, flatten
from enhance.report import Report
from enhance.samples import Sample, SampleRequest
from sweeps.engine.designs import Grid
from sweeps.engine.ledger.writer import Row
from sweeps.engine.protocol import Answer, Assignment, Progress, Work
from sweeps.engine.run.confirmation import best
from sweeps.engine.run.outcome import higher_is_better, seed_result
from sweeps.engine.run.samples import Gallery, sample_rows
from sweeps.engine.run.study import Search, SeedResult
from sweeps.engine.run.trials import (
    RunContext,
    Trial,
    renumbered,
    report_row,
    start_row,
    trial_identity,
    trial_row,
    trials_from_rows,
)
from sweeps.engine.rungs import Verdict, build_rungs
from sweeps.engine.space import chosen
from sweeps.engine.sweep import FRESH_SEED, Sweep

SAME_AGAIN_LIMIT = 5
"""After so many suggestions in a row that were tried before, another point of a finite space is taken instead."""


Known = tuple[Mapping[str, Scalar], Sequence[SeedResult]]
"""A configuration of an earlier run, as the search is told of it: its values, and how its seeds ended."""


class Book(Protocol):
    """What the controller needs of a ledger."""

    def commit(self, dataset: str, rows: Sequence[Row]) -> object:
        """Make rows durable before returning."""


@dataclass
class Candidate:
    """One configuration with all of its seeds; `ticket` is what the search knows it by, `told` that it has heard."""

    ticket: int
    trials: list[Trial] = field(default_factory=list)
    told: bool = False


class RunController:
    """One driver's hold on one run. `listener` is called with every trial whose state has changed.

    `journal` is where Optuna's study is written to as well, `history` what the sampler knows from earlier runs.
    `gallery` says what is recorded beside numbers, None where nothing is.
    """

    def __init__(
        self,
        sweep: Sweep,
        ledger: Book,
        context: RunContext,
        listener: Callable[[Trial], None] | None = None,
        journal: Path | None = None,
        history: Sequence[Known] = (),
    ) -> None:
        self.sweep, self.ledger, self.context = sweep, ledger, context
        self.listener = listener or (lambda trial: None)
        self.rung_steps = sweep.budget.rung_steps()
        self.rungs = build_rungs(sweep.stopping, self.rung_steps, sweep.budget.reduction)
        self.trials: dict[str, Trial] = {}
        self.confirmations: dict[str, Trial] = {}
        self.exhausted = False
        self.closing = ""
        self.gallery: Gallery | None = None
        self._journal, self._history = journal, history
        self.search = self._new_search()
        self._candidates: dict[int, Candidate] = {}
        self._waiting: deque[Trial] = deque()
        self._confirming = False
        self._leftovers = _all_points(sweep)

    # --- what a runner calls -------------------------------------------------------------------------------------

    def next_assignment(self) -> Work | None:
        """The next trial to train, recorded as started. None: there is nothing to give now; see `finished`."""
        if self.closing:
            return None
        if not self._waiting:
            self._fill()
        if not self._waiting:
            return None
        trial = self._waiting.popleft()
        if trial.started is None:
            trial.started = datetime.now(UTC)
            self.ledger.commit("starts", [start_row(trial, self.sweep.name)])
        self.listener(trial)
        return Assignment(
            trial=trial.id,
            config=flatten(trial.config),
            seed=trial.seed,
            rung_steps=self.rung_steps,
            state=trial.state,
            pauses=self._pauses(trial),
            wanted=self.gallery.wanted(trial.stage) if self.gallery else SampleRequest(),
        )

    def hear(self, progress: Answer) -> bool:
        """Take a worker's progress; True if the trial goes on there, False if the worker is free."""
        assert isinstance(progress, Progress), "nothing was to be measured"
        trial = self.trials[progress.trial]
        trial.wall_s = trial.wall_before_s + progress.wall_s
        trial.parameters, trial.host = progress.parameters, progress.host
        goes_on = False
        if progress.report is not None:
            self._hear_samples(trial, progress.report.step, progress.samples)
            self._hear_report(trial, progress.report)
        if progress.ending:
            self._end(trial, progress.ending, progress.reason)
            self._settle()
        elif progress.report is not None:
            goes_on = self._arrive(trial, progress.report.step, progress)
        self.listener(trial)
        return goes_on and not self.closing

    def has_work(self) -> bool:
        """Whether `next_assignment` would give something."""
        if not self._waiting and not self.closing:
            self._fill()
        return bool(self._waiting) and not self.closing

    @property
    def over(self) -> bool:
        """Whether nothing more will be given out: everything has ended, or the run is closing."""
        return bool(self.closing) or self.finished

    def lost(self, assignment: Work, reason: str) -> None:
        """The runner gave a trial up: its worker died more often than it may."""
        assert isinstance(assignment, Assignment), "nothing was to be measured"
        trial = self.trials[assignment.trial]
        if not trial.ending:
            self._end(trial, "failed", reason)
            self._settle()

    def close(self, why: str) -> None:
        """Give out nothing more; running trials may finish the stretch they are in, and can be taken up again later."""
        self.closing = self.closing or why

    @property
    def finished(self) -> bool:
        """Whether everything that the budget asks for has ended."""
        ended = all(trial.ending for trial in self.trials.values())
        return ended and self._all_given() and (self._confirming or not self._to_confirm())

    # --- resuming ------------------------------------------------------------------------------------------------

    def restore(self, starts: Sequence[Row], reports: Sequence[Row], trials: Sequence[Row]) -> None:
        """Take up what earlier invocations have written: ended trials count, started ones will be run again.

        A trial that was running is trained from its beginning; a report that it makes again is bit-equal to the one
        in the ledger, and is not written twice.
        """
        read = trials_from_rows(starts, reports, trials, self._from_row)
        self.confirmations = {name: trial for name, trial in read.items() if trial.stage == "confirm"}
        searched = {name: trial for name, trial in read.items() if trial.stage == "search"}
        self._take_up_all(searched)

    def _take_up_all(self, searched: Mapping[str, Trial]) -> None:
        groups: dict[int, list[Trial]] = {}
        for trial in renumbered(searched.values()):
            self.trials[trial.id] = trial
            groups.setdefault(trial.number, []).append(trial)
            for step in sorted(trial.reports):
                self._record(trial, trial.reports[step])
        self.search = self._new_search(known=len(groups))
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
            self._candidates[number] = Candidate(self.search.adopt(first.values, first.label), group)
            self._waiting.extend(unfinished)
        else:
            ticket = self.search.remember(first.values, self._results(group), first.label)
            self._candidates[number] = Candidate(ticket, group, told=True)

    def _from_row(self, row: Row) -> Trial:
        values = {name: row.get(f"config.{name}") for name in self.sweep.space}
        trial = self._trial(row["number"], chosen(self.sweep.space, values), row["label"], row["seed"])
        if trial.id != row["trial"]:
            raise ValueError(f"trial {row['trial']} of the ledger has another identity here ({trial.id})")
        trial.started, trial.stage = row["started"], row["stage"]
        return trial

    def _new_search(self, known: int = 0) -> Search:
        """A search that has heard what earlier runs have to say, and nothing of this one."""
        search = Search(self.sweep, self._journal, known=known)
        for values, results in self._history:
            search.remember(values, results, elsewhere=True)
        return search

    # --- giving out ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Put something into `_waiting`, if there is anything to do now."""
        if not self._all_given():
            self._ask(1 + max(self._candidates, default=-1))
        if not self._waiting and self._all_given() and not self._confirming and self._searched():
            self._confirm()

    def _all_given(self) -> bool:
        return self.exhausted or len(self._candidates) >= self.sweep.budget.trials

    def _searched(self) -> bool:
        return all(trial.ending for trial in self.trials.values())

    def _ask(self, number: int) -> None:
        """Ask the search for configurations until one is new; give up where it only repeats itself."""
        for _ in range(SAME_AGAIN_LIMIT):
            if self.search.exhausted:
                break
            ticket, values, label = self.search.ask()
            group = [self._trial(number, values, label, seed) for seed in range(self.sweep.budget.seeds)]
            known = [self.trials[trial.id] for trial in group if trial.id in self.trials]
            if not known:
                self._adopt(Candidate(ticket, group), number)
                return
            # The same point again: the sampler hears the same answer, and nothing is computed twice.
            self.search.tell(ticket, self._heard(known))
        else:
            self._ask_for_a_leftover(number)
            return
        self.exhausted = True

    def _ask_for_a_leftover(self, number: int) -> None:
        """A sampler that only repeats itself is answered with a point that was not tried, while there is one.

        In a space without end there always is one, and no sampler repeats itself there; that is not looked into.
        """
        for values in self._leftovers:
            group = [self._trial(number, values, "", seed) for seed in range(self.sweep.budget.seeds)]
            if not any(trial.id in self.trials for trial in group):
                self._adopt(Candidate(self.search.adopt(values), group), number)
                return
        self.exhausted = True

    def _adopt(self, candidate: Candidate, number: int) -> None:
        """Take a new configuration in."""
        self.trials |= {trial.id: trial for trial in candidate.trials}
        self._candidates[number] = candidate
        self._waiting.extend(candidate.trials)

    def _trial(self, number: int, values: Mapping[str, Scalar], label: str, seed: int) -> Trial:
        config = self.sweep.config(values)
        return Trial(trial_identity(config, seed, self.context), number, config, values, label, seed)

    # --- confirmation --------------------------------------------------------------------------------------------

    def _to_confirm(self) -> list[Candidate]:
        """The candidates that the search found best, of those whose every seed was trained to the end."""
        completed = {
            number: [higher_is_better(trial.reports[self.rung_steps[-1]], self.sweep) for trial in candidate.trials]
            for number, candidate in self._candidates.items()
            if all(trial.ending == "completed" and trial.stage == "search" for trial in candidate.trials)
        }
        return [self._candidates[number] for number in best(completed, self.sweep.budget.confirm)]

    def _confirm(self) -> None:
        """Give the best configurations out once more, to the full budget, on seeds that the search has not seen."""
        self._confirming = True
        for candidate in self._to_confirm():
            first = candidate.trials[0]
            for seed in range(FRESH_SEED, FRESH_SEED + self.sweep.budget.confirm_seeds):
                trial = self._trial(first.number, first.values, first.label, seed)
                trial = self.confirmations.get(trial.id, trial)
                trial.stage = "confirm"
                self.trials[trial.id] = trial
                if trial.ending:
                    self.listener(trial)  # of an earlier invocation
                else:
                    self._waiting.append(trial)

    # --- judging -------------------------------------------------------------------------------------------------

    def _pauses(self, trial: Trial) -> bool:
        """Whether the trial may be put aside at a rung."""
        return False

    def _arrive(self, trial: Trial, step: int, progress: Progress) -> bool:
        """A trial stands at a rung: True if it goes on at once."""
        if step == self.rung_steps[-1]:
            self._end(trial, "completed", "")
            return False
        if trial.stage == "confirm" or step < max(trial.reports):  # at an earlier step it was let through before
            return True
        return self._obey(trial, step, self.rungs.judge(trial.id, step) if trial.spared < 0 else None)

    def _obey(self, trial: Trial, step: int, verdict: Verdict | None) -> bool:
        """Carry a verdict out, unless the audit spares the trial (None: it has been spared at an earlier rung)."""
        if verdict is None or verdict.goes_on:
            return True
        if _coin(trial.id) < self.sweep.budget.audit_share:
            trial.spared = self.rung_steps.index(step)
            return True
        self._end(trial, "stopped", verdict.why)
        return False

    def _settle(self) -> None:
        """Something has ended: is a decision due that waited for it?"""

    def _hear_samples(self, trial: Trial, step: int, samples: Sequence[Sample]) -> None:
        """Before the report they came with: where that is in the ledger they are as well, and nobody asks again."""
        if self.gallery is None or not samples or step in trial.reports:
            return
        originals = self.gallery.new_originals(samples)
        if originals:
            self.ledger.commit("originals", originals)
        self.ledger.commit("samples", sample_rows(trial.id, step, samples))

    def _hear_report(self, trial: Trial, report: Report) -> None:
        if report.step in trial.reports:  # made again, after a lost worker or driver: bit-equal, and in the ledger
            return
        trial.reports[report.step] = report
        self.ledger.commit("reports", [report_row(trial, report)])
        self._record(trial, report)

    def _record(self, trial: Trial, report: Report) -> None:
        """What a spared trial reaches later is for the audit: it must not decide about others."""
        if trial.stage == "search" and (trial.spared < 0 or report.step <= self.rung_steps[trial.spared]):
            self.rungs.record(trial.id, report.step, higher_is_better(report, self.sweep))

    def _end(self, trial: Trial, ending: str, reason: str) -> None:
        trial.ending, trial.reason, trial.state = ending, reason, None
        self.ledger.commit("trials", [trial_row(trial, self.sweep.name, self.rung_steps, self.context)])
        trial.forget_details()
        if trial.stage == "search":
            self._tell(self._candidates[trial.number])
        self.listener(trial)

    def _tell(self, candidate: Candidate) -> None:
        """Tell the search of a configuration whose last seed has ended."""
        if not candidate.told and all(member.ending for member in candidate.trials):
            candidate.told = True
            self.search.tell(candidate.ticket, self._results(candidate.trials))

    def _heard(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """What the search is told of a configuration that it has suggested before."""
        return self._results(trials)

    def _results(self, trials: Sequence[Trial]) -> list[SeedResult]:
        """What the search is told."""
        return [seed_result(trial, self.sweep) for trial in trials]


def _all_points(sweep: Sweep) -> Iterator[Mapping[str, Scalar]]:
    """Every point of a space that has finitely many, in a random order; nothing where it has not."""
    grid = Grid()
    if grid.problems(sweep.space):
        return
    points = [values for _, values in grid.points(sweep.space)]
    order = np.random.default_rng([sweep.search_seed, len(points)]).permutation(len(points))
    yield from (points[index] for index in order)


def _coin(trial_id: str) -> float:
    """A number in [0, 1) that a trial's identity decides: the audit spares the same trials whatever happens."""
    return int(trial_id[:8], 16) / 2**32
