"""The controller of a run: gives out trials, hears their reports, and writes everything down.

It knows nothing of Ray: Ray Tune (`ray_tune.py`) and the in-process runner (`inline.py`) are two ways to carry its
assignments to workers and their answers back. Nothing is acted upon before it is durable: a trial starts once its row
is in `starts`, goes on once its report is in `reports`, and the sampler hears of its end once that is in `trials`.

A run has two stages. The search proposes configurations (`proposals.py`), of which most are stopped early
(`judge.py`). The confirmation trains the best ones again on fresh seeds; the sampler never hears of it. An admission
policy (`admission.py`) decides when configurations are asked for and when trials are judged.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from enhance.config import flatten
from enhance.report import Report
from enhance.samples import Sample, SampleRequest
from enhance.weights.files import Weights
from sweeps.engine.ledger.writer import Row
from sweeps.engine.protocol import Answer, Assignment, Measured, Measurement, Progress, Work, lost_measurement
from sweeps.engine.run.admission import Admission, Immediate
from sweeps.engine.run.judge import Judge
from sweeps.engine.run.kept.states import KeptStates
from sweeps.engine.run.kept.weights import KeptWeights
from sweeps.engine.run.measuring import NetworkCosts
from sweeps.engine.run.other_code import by_identity
from sweeps.engine.run.proposals import Proposals
from sweeps.engine.run.samples import Gallery, sample_rows
from sweeps.engine.run.study import PriorResult, Search
from sweeps.engine.run.trials import RunContext, Trial, report_row, start_row, trial_row, trials_from_rows
from sweeps.engine.sweep import FRESH_SEED, Sweep


class RowSink(Protocol):
    """What the controller needs of a ledger."""

    def commit(self, dataset: str, rows: Sequence[Row]) -> object:
        """Make rows durable before returning."""


class RunController:
    """One driver's hold on one run.

    `admission` is the policy to build: `Immediate` or `Cohorts`. `costs`, if given, has every network measured before
    it is trained. `journal` is the file to which Optuna's study is written as well, `history` what the sampler learns
    from earlier runs. `listener` is called with every trial whose state has changed; `gallery` says which pictures are
    recorded, `weights` which networks and `states` where checkpoints are, None for none.
    """

    def __init__(
        self,
        sweep: Sweep,
        ledger: RowSink,
        context: RunContext,
        *,
        admission: Callable[[Proposals, Judge], Admission] = Immediate,
        costs: NetworkCosts | None = None,
        journal: Path | None = None,
        history: Sequence[PriorResult] = (),
    ) -> None:
        self.sweep, self.ledger, self.context, self.costs = sweep, ledger, context, costs
        # Set by the driver once it has read the ledger: the display begins with the trials that are in it.
        self.listener: Callable[[Trial], None] = lambda trial: None
        self.gallery: Gallery | None = None
        self.weights: KeptWeights | None = None
        self.states: KeptStates | None = None
        self.closing = ""
        self.judge = Judge(sweep, self._end)
        self.proposals = Proposals(sweep, context, journal, history, ahead=costs.ahead(sweep) if costs else 1)
        self.admission = admission(self.proposals, self.judge)
        # Not among `trials` at first: an extended search may choose other configurations to confirm.
        self._earlier_confirmations: dict[str, Trial] = {}
        self._confirming = False
        # Trial and step of each report that earlier invocations wrote.
        self._reported: frozenset[tuple[str, int]] = frozenset()
        # By trial, when it was given to a worker or last heard of.
        self._heard_at: dict[str, float] = {}

    @property
    def trials(self) -> dict[str, Trial]:
        """Every trial of the run by its id, those of earlier invocations included."""
        return self.proposals.trials

    @property
    def search(self) -> Search:
        """The search as it stands."""
        return self.proposals.search

    @property
    def search_notes(self) -> list[str]:
        """What the user must know of the search: that it ended before its budget, or had to do without its sampler."""
        proposals, found = self.proposals, []
        if proposals.replaced:
            found.append(
                f"{proposals.replaced} of {len(proposals.candidates)} configurations are random points that had not "
                f"been tried: the sampler {self.sweep.sampler} proposed only configurations that had"
            )
        if proposals.exhausted:
            found.append(f"{proposals.exhausted}; the run is shorter than its budget")
        return found

    # --- what a runner calls -------------------------------------------------------------------------------------

    def next_assignment(self) -> Work | None:
        """The next work for a worker; a trial is recorded as started. None: there is none now; see `finished`."""
        while self.has_work():
            if self.costs and (measurement := self.costs.next_measurement(self.proposals.waiting)):
                return measurement
            trial = self.proposals.waiting.popleft()
            # Even if it fails on the next line: every ended trial has a row in `starts`.
            self._start(trial)
            if self.costs and (failure := self.costs.of(trial).failure):
                self._end_by_itself(trial, "failed", f"its network could not be measured: {failure}")
                continue
            if self.costs:
                self.costs.note_training(trial)
            self._heard_at[trial.id] = time.monotonic()
            return Assignment(
                trial=trial.id,
                config=flatten(trial.config),
                seed=trial.seed,
                rung_steps=self.judge.steps,
                state=self._checkpoint(trial) if self.states else trial.state,
                pauses=trial.stage == "search" and self.admission.pauses(trial),
                wanted=self.gallery.wanted(trial.stage) if self.gallery else SampleRequest(),
                checkpoints=self.states is not None,
                weights=self.weights.wanted(trial.stage) if self.weights else "",
            )
        return None

    def hear(self, answer: Answer) -> bool:
        """Take a worker's answer; True if its trial goes on there, False if the worker is free."""
        if isinstance(answer, Measured):
            self._hear_cost(answer)
            return False
        trial = self.trials[answer.trial]
        trial.wall_s = trial.wall_before_s + answer.wall_s
        trial.trained, trial.unreported_s = answer.steps, answer.unreported_s
        self._heard_at[trial.id] = time.monotonic()
        trial.parameters, trial.host = answer.parameters, answer.host
        trial.captured, trial.per_device = answer.captured, answer.per_device
        goes_on = False
        if answer.report is not None:
            self._hear_samples(trial, answer.report.step, answer.samples)
            self._hear_weights(trial, answer.report, answer.weights)
            self._hear_report(trial, answer.report)
        if answer.ending:
            self._end_by_itself(trial, answer.ending, answer.reason)
        elif answer.report is not None:
            goes_on = self._arrive(trial, answer)
            # After the report, and only of a trial that goes on: one that a killed driver was about to end must come
            # to that rung again.
            if goes_on and self.states and answer.state is not None:
                self.states.keep(trial.id, answer.report.step, answer.state)
        self.listener(trial)
        # In a run that closes, a trial stays where its report is durable. It has no ending, so a resumed run trains it.
        return goes_on and not self.closing

    def renewed(self, work: Work) -> Work:
        """The work of a lost worker, which goes on from the newest checkpoint if there is one."""
        if self.states is None or isinstance(work, Measurement):
            return work
        return replace(work, state=self._checkpoint(self.trials[work.trial]))

    def has_work(self) -> bool:
        """Whether `next_assignment` would give something."""
        if self.closing:
            return False
        if not self.proposals.waiting:
            self._fill()
        waiting = self.proposals.waiting
        return bool(waiting) and (self.costs is None or self.costs.device_is_free(waiting))

    @property
    def over(self) -> bool:
        """Whether nothing more will be given out: everything has ended, or the run is closing."""
        return bool(self.closing) or self.finished

    def lost(self, work: Work, reason: str) -> None:
        """The runner gives up some work: its worker died too often."""
        if isinstance(work, Measurement):
            self._hear_cost(lost_measurement(work, reason, host=""))
            return
        trial = self.trials[work.trial]
        # Its last answer may have ended it, just before its worker died.
        if not trial.ending:
            # Nobody is left to say how long it took: the time since its worker was last heard of is the best guess.
            trial.unreported_s = time.monotonic() - self._heard_at[trial.id]
            trial.wall_s += trial.unreported_s
            self._end_by_itself(trial, "failed", reason)

    def close(self, why: str) -> None:
        """Give out nothing more. Running trials may go on to their next rung; a resumed run takes them up again."""
        self.closing = self.closing or why

    @property
    def finished(self) -> bool:
        """Whether everything that the budget asks for has ended."""
        proposals = self.proposals
        # The last part closes a gap: the search has ended, and `_fill` has not yet queued what is to be confirmed.
        return proposals.complete and proposals.ended and (self._confirming or not proposals.best())

    def restore(
        self, starts: Sequence[Row], reports: Sequence[Row], trials: Sequence[Row], *, other_code: bool = False
    ) -> None:
        """Restore what earlier invocations wrote: ended trials count, unfinished ones are trained again.

        An unfinished trial is trained from its beginning; a report that it makes again is bit-equal to the one in the
        ledger, and is not written twice. Raises ValueError for a trial whose identity would be another one today,
        unless `other_code` says that earlier invocations had other code (see `other_code.py`).
        """
        self._reported = frozenset((row["trial"], row["step"]) for row in reports)
        recorded = trials_from_rows(starts, reports, trials, self.proposals.trial_from_start)
        read = by_identity(recorded, other_code=other_code, start_over=self.proposals.start_over)
        # Confirmations are kept from the admission policy: they are not part of the search, nor of its comparisons.
        self._earlier_confirmations = {name: trial for name, trial in read.items() if trial.stage == "confirm"}
        self.admission.restore({name: trial for name, trial in read.items() if trial.stage == "search"})
        if self.states:
            self.states.drop_all_but([name for name, trial in read.items() if trial.ending in ("", "failed")])

    def _checkpoint(self, trial: Trial) -> bytes | None:
        """The newest state of a trial on disk; its time so far goes on from there."""
        assert self.states is not None
        state = self.states.newest(trial.id, self.judge.steps, trial.reports)
        trial.wall_before_s = trial.train_s + trial.eval_s if state else 0.0
        return state

    # --- giving out ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Queue the next trials, if it is time for any."""
        self.admission.fill()
        if not self._confirming and self.proposals.complete and self.proposals.ended:
            self._confirm()

    def _confirm(self) -> None:
        """Queue the best configurations once more, on seeds that the search has not seen."""
        self._confirming = True
        for candidate in self.proposals.best():
            first = candidate.trials[0]
            for seed in range(FRESH_SEED, FRESH_SEED + self.sweep.budget.confirm_seeds):
                trial = self.proposals.trial(first.number, first.values, first.label, seed)
                trial = self._earlier_confirmations.get(trial.id, trial)
                trial.stage = "confirm"
                self.trials[trial.id] = trial
                if trial.ending:
                    # It ended in an earlier invocation, and the live table has not seen it yet.
                    self.listener(trial)
                else:
                    self.proposals.waiting.append(trial)

    def _start(self, trial: Trial) -> None:
        # A trial that starts again, after a pause or in a resumed run, has its row already.
        if trial.started is None:
            trial.started = datetime.now(UTC)
            self.ledger.commit("starts", [start_row(trial, self.sweep.name)])
        self.listener(trial)

    # --- hearing -------------------------------------------------------------------------------------------------

    def _hear_samples(self, trial: Trial, step: int, samples: Sequence[Sample]) -> None:
        # Committed before the report that they came with, so that a ledger with the report has its samples too.
        if self.gallery is None or not samples or step in trial.reports:
            return
        if originals := self.gallery.new_originals(samples):
            self.ledger.commit("originals", originals)
        if new := self.gallery.new_samples(trial.id, samples):
            self.ledger.commit("samples", sample_rows(trial.id, step, new))

    def _hear_weights(self, trial: Trial, report: Report, weights: Weights | None) -> None:
        # Before the report as well. Those of a killed driver may be there: they are replaced, by the same on a CPU.
        if self.weights is not None and weights is not None and report.step not in trial.reports:
            self.weights.keep(trial, report, weights)

    def _hear_report(self, trial: Trial, report: Report) -> None:
        # Made again, after a worker or a driver was lost: bit-equal, and already in the ledger.
        if report.step in trial.reports:
            return
        if self.costs:
            report = self.costs.add_to(report, trial)
        trial.reports[report.step] = report
        # The ledger may have the report although the trial does not: a damaged file hid that it had begun.
        if (trial.id, report.step) not in self._reported:
            self.ledger.commit("reports", [report_row(trial, report)])
        self.judge.record(trial, report)

    def _hear_cost(self, measured: Measured) -> None:
        assert self.costs is not None, f"the cost of network {measured.network} was not requested"
        self.ledger.commit("costs", [self.costs.row(measured)])
        self.costs.hear(measured, self.proposals.waiting)

    def _arrive(self, trial: Trial, progress: Progress) -> bool:
        """A trial has reported at a rung: True if it goes on at once. A confirmation always does, up to the last."""
        assert progress.report is not None
        if trial.stage == "search":
            return self.admission.arrive(trial, progress.report.step, progress.state)
        if progress.report.step < self.judge.steps[-1]:
            return True
        self._end(trial, "completed", "")
        return False

    def _end(self, trial: Trial, ending: str, reason: str) -> None:
        trial.ending, trial.reason, trial.state = ending, reason, None
        self.ledger.commit("trials", [trial_row(trial, self.sweep.name, self.judge.steps, self.context)])
        # After the commit: the row still needs the spreads and scores of the untouched pictures.
        trial.forget_details()
        self._heard_at.pop(trial.id, None)
        # Not after a failure: `--retry failed` goes on from there.
        if self.states and ending != "failed":
            self.states.drop(trial.id)
        self.listener(trial)

    def _end_by_itself(self, trial: Trial, ending: str, reason: str) -> None:
        """End a trial for a reason other than the rungs, of which the admission policy must be told."""
        self._end(trial, ending, reason)
        if trial.stage == "search":
            self.admission.note_end(trial)
