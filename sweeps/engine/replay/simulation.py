"""Simulated workers, which answer the controller from recorded curves in simulated time, and can fail.

A clock and a queue of events replace the machines; search, rungs and controller are the real ones. A trial's faults
depend only on its identity and on the seed, not on when it is trained or beside what: it meets the same faults under
every stopping rule.
"""

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from enhance.config import Scalar
from enhance.report import Report
from sweeps.engine.protocol import Assignment, Progress
from sweeps.engine.replay.recording import Curve
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.trials import Trial

RESTARTS = 3
"""A trial is started again this many times after it lost its worker; then it ends as failed."""

NOT_RECORDED = Curve(None, {})


class TroubleError(ValueError):
    """Faults that cannot be injected."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """The faults to inject, as shares from 0 to 1, and the seed that chooses the trials.

    `stragglers` of the trials take `slowdown` times as long; `nan` of them diverge between two rungs; `lost` of the
    attempts at a trial lose their worker, which is replaced at once. Raises TroubleError for a share outside 0 to 1 or
    a slowdown below 1.
    """

    stragglers: float = 0.0
    lost: float = 0.0
    nan: float = 0.0
    slowdown: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("stragglers", "lost", "nan"):
            if not 0 <= getattr(self, name) <= 1:
                raise TroubleError(f"{name}={getattr(self, name)} must be a share from 0 to 1")
        if self.slowdown < 1:
            raise TroubleError(f"slowdown={self.slowdown} must be >= 1")

    def fate(self, trial: str, stretches: int) -> "Fate":
        """The faults of `trial` (hexadecimal digits) in its `stretches`, each from one rung to the next."""
        rng = np.random.default_rng([self.seed, int(trial, 16)])
        # Always the same draws, whatever the shares: another share of one fault changes no other.
        slow, diverges, *dies = rng.random(3 + RESTARTS)
        where, *deaths = rng.integers(stretches, size=2 + RESTARTS).tolist()
        shares = rng.random(1 + RESTARTS).tolist()
        attempts = itertools.takewhile(lambda death: death[0] < self.lost, zip(dies, deaths, shares, strict=True))
        return Fate(
            factor=self.slowdown if slow < self.stragglers else 1.0,
            diverges=where if diverges < self.nan else None,
            deaths=tuple((stretch, share) for _, stretch, share in attempts),
        )


@dataclass(frozen=True)
class Fate:
    """The faults of one trial, as far as it gets to them.

    `factor` multiplies every duration; `diverges` is the index of the stretch in which the trial diverges, if any;
    `deaths` has, for each attempt that loses its worker, the stretch and the share of it that is done by then.
    """

    factor: float
    diverges: int | None
    deaths: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Ended:
    """The end of a trial: its time, and the steps that the whole run had begun by then."""

    trial: str
    time_s: float
    steps: float


@dataclass
class _Run:
    """A trial on a simulated worker."""

    assignment: Assignment
    curve: Curve
    fate: Fate
    started_s: float
    step: int
    attempt: int = 0

    @property
    def stretch(self) -> int:
        """The index of its current stretch."""
        # As many as the rungs that it has reached.
        return sum(step <= self.step for step in self.assignment.rung_steps)

    @property
    def next_step(self) -> int:
        """The step at which it will report next."""
        return self.assignment.rung_steps[self.stretch]


class Simulation:
    """`workers` simulated workers that run the assignments of `controller`.

    `find` returns the recorded curve of a configuration; one without a curve is refused. A stretch takes as long as
    recorded, evaluation included, or its steps times `step_s` seconds. After `play`, `time_s` and `steps` are what the
    run has taken, lost work included, and `ended` holds the trials in the order of their ends. Steps are counted when
    they begin. Raises ValueError for fewer than one worker.
    """

    def __init__(
        self,
        controller: RunController,
        find: Callable[[Mapping[str, Scalar]], Curve | None],
        workers: int,
        trouble: Trouble,
        step_s: float | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers} must be >= 1")
        self.controller, self.find, self.trouble, self.step_s = controller, find, trouble, step_s
        self.time_s, self.steps = 0.0, 0.0
        self.ended: dict[str, Ended] = {}
        self._free = workers
        # Events of the same time happen in the order in which they were planned. It also keeps the heap from comparing
        # runs, which have no order.
        self._order = itertools.count()
        self._events: list[tuple[float, int, _Run, Callable[[_Run], None]]] = []
        controller.listener = self._note

    def play(self) -> None:
        """Run until every trial has ended. Raises RuntimeError if the controller gives out nothing before that."""
        self._give_work()
        while self._events:
            self.time_s, _, run, happening = heapq.heappop(self._events)
            happening(run)
            self._give_work()
        if not self.controller.finished:
            raise RuntimeError(
                "every worker is idle and the controller gives nothing out, but some trials have not ended"
            )

    def _give_work(self) -> None:
        while self._free and (assignment := self.controller.next_assignment()):
            assert isinstance(assignment, Assignment), "a controller without costs gives out no measurement"
            self._free -= 1
            curve = self.find(assignment.config)
            fate = self.trouble.fate(assignment.trial, len(assignment.rung_steps))
            # All that a simulated trial hands over as its state is the step that it has reached.
            run = _Run(assignment, curve or NOT_RECORDED, fate, self.time_s, assignment.state or 0)
            if curve is None:
                self._end(run, "refused", "this point was not recorded")
            else:
                self._begin(run)

    def _begin(self, run: _Run) -> None:
        """Plan the end of the run's next stretch, or the loss of its worker within it."""
        report = run.curve.stretch(run.step, run.next_step)
        steps = run.next_step - run.step
        duration_s = run.fate.factor * (report.train_s + report.eval_s if self.step_s is None else steps * self.step_s)
        share, happening = 1.0, self._arrive
        # Its worker dies in this stretch, after a share of it.
        if run.attempt < len(run.fate.deaths) and run.fate.deaths[run.attempt][0] == run.stretch:
            share, happening = run.fate.deaths[run.attempt][1], self._lose
        self.steps += steps * share
        heapq.heappush(self._events, (self.time_s + duration_s * share, next(self._order), run, happening))

    def _arrive(self, run: _Run) -> None:
        """End a stretch of the run: it reports, or diverges."""
        if run.stretch == run.fate.diverges:
            self._end(run, "diverged", f"not finite before step {run.next_step} (injected)")
            return
        report = run.curve.stretch(run.step, run.next_step)
        run.step = run.next_step
        if self.controller.hear(self._progress(run, report)):
            self._begin(run)
        else:
            self._free += 1

    def _lose(self, run: _Run) -> None:
        """Lose the run's worker; another one begins again from the same state."""
        run.attempt += 1
        if run.attempt > RESTARTS:
            self._end(run, "failed", f"its worker was lost {run.attempt} times (injected)")
        else:
            run.step = run.assignment.state or 0
            self._begin(run)

    def _end(self, run: _Run, ending: str, reason: str) -> None:
        self._free += 1
        self.controller.hear(self._progress(run, None, ending, reason))

    def _progress(self, run: _Run, report: Report | None, ending: str = "", reason: str = "") -> Progress:
        return Progress(
            trial=run.assignment.trial,
            report=report,
            ending=ending,
            reason=reason,
            parameters=run.curve.parameters,
            host="simulated",
            wall_s=self.time_s - run.started_s,
            state=run.step if run.assignment.pauses else None,
        )

    def _note(self, trial: Trial) -> None:
        # The controller may tell of an ended trial more than once; the first time is when it ended.
        if trial.ending:
            self.ended.setdefault(trial.id, Ended(trial.id, self.time_s, self.steps))
