"""Ray Tune as the carrier of trials: a class Trainable on warm, reused actors, and adapters to the referee.

Tune keeps machines and processes; what is searched, stopped and recorded is the referee's. Tune's own loggers, result
files and snapshots are off: the ledger holds everything that a resumed run needs (see DECISIONS.md).
"""

import contextlib
import importlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from enhance.data.delivery import open_delivered
from sweeps.engine.environment import code_hash
from sweeps.engine.messages import Work
from sweeps.engine.nodes import Watch, fetch_from, gpu_share, name_of, this_node
from sweeps.engine.probe import Requirements, problems
from sweeps.engine.referee import Referee

LOST_WORKER_RETRIES = 3
"""How often a trial is started again after its worker died, before it ends as failed."""

IDLE_S, LONGEST_IDLE_S = 0.05, 1.0
"""How often a worker that waits for others looks whether there is something to do; less and less often."""

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON, TensorBoard beside the ledger
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # results are messages for the referee, not metrics
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # Tune's snapshots are not what a run resumes from
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # start all workers at once, not one after the other
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # an ending and its reason are in the ledger
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # signals are the driver's
    "RAY_AIR_NEW_OUTPUT": "0",  # the table is ours
}


@dataclass(frozen=True)
class Ground:
    """Where workers train: `workers` trials at a time or, where `elastic`, as many as the cluster has slots.

    On a cluster `required` is what every machine must have.
    """

    workers: int
    device: str
    store: Path
    elastic: bool = False
    required: Requirements | None = None


def run_on_ray(
    referee: Referee, ground: Ground, timeout_s: float | None, tick: Callable[[], None], notice: Callable[[str], None]
) -> None:
    """Carry every assignment of `referee` to Ray workers. Ray must have been started.

    `notice` hears sentences about machines: that they came, went, or cannot train.
    """
    os.environ.update(_ENVIRONMENT)
    # Tune starts actors with PL_DISABLE_FORK, for Lightning. With no variable of their own they are given the processes
    # that Ray has started already, which have torch loaded (see machines.py), instead of new ones.
    class_cache.DEFAULT_ENV_VARS.clear()
    watch = Watch()
    share = 1.0 if ground.elastic else gpu_share(ground.workers, sum(node.gpus for node in watch.nodes))
    slots = {"CPU": 1.0, "GPU": share} if ground.device == "cuda" else {"CPU": 1.0}
    failures: list[Exception] = []
    shared = {"ground": ground, "timeout_s": timeout_s, "code": code_hash()}
    feed = _Feed(referee, shared, failures, lambda: watch.slots(ground.device, share), notice)

    def each_step() -> None:
        for change in watch.changes() if ground.required is not None else []:
            notice(change)
        tick()

    with tempfile.TemporaryDirectory(prefix="teststrip-tune-") as scratch:
        try:
            # tune.run, not Tuner: Tuner pickles the searcher (and with it the ledger) for a restore that never happens.
            tune.run(
                WarmWorker,
                search_alg=feed,
                scheduler=_Rungs(referee, feed, failures),
                resources_per_trial=tune.PlacementGroupFactory([slots]),
                num_samples=-1,
                reuse_actors=True,
                max_failures=LOST_WORKER_RETRIES,
                callbacks=[_Ticker(each_step)],
                storage_path=scratch,
                trial_dirname_creator=lambda trial: trial.trial_id,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except Exception:
            if failures:  # Tune has made a text of it; the error itself says more (a full disk, say)
                raise failures[0] from None
            raise


class WarmWorker(tune.Trainable):
    """A worker inside a Ray actor. One `step` is one stretch to the next rung; a reset takes the next trial.

    On a machine that must not train for this run it trains nothing, and says why. It keeps the slot, so that Ray gives
    the machine no other trial.
    """

    def setup(self, config: dict[str, Any]) -> None:
        from sweeps.engine.worker import Worker  # here, in the actor: the driver stays without torch

        ground: Ground = config["ground"]
        self.unfit = _unfit(ground, config["code"])
        self.idle_s = IDLE_S
        if not self.unfit:
            self.worker = Worker(_store(ground), ground.device, timeout_s=config["timeout_s"])
            self._take(config["assignment"])

    def _take(self, assignment: Work | None) -> None:
        self.idle_s = IDLE_S if assignment is None else 0.0
        if assignment is not None:
            self.worker.start(assignment)

    def step(self) -> dict[str, Any]:
        if self.idle_s:
            time.sleep(self.idle_s)
            self.idle_s = min(2 * self.idle_s, LONGEST_IDLE_S)
            return {"progress": None, "unfit": self.unfit}
        return {"progress": self.worker.advance(), "unfit": ""}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if self.unfit or self.worker.tainted:
            return False  # a hung trial cannot be ended, only its process: Ray gives the next trial another one
        self._take(new_config["assignment"])
        return True


def _unfit(ground: Ground, code: str) -> str:
    """On the machine: why it must not train, "" where it may. It may have joined after the others were checked."""
    if ground.required is not None:
        wrong = problems(ground.required, this_node(), fetch_from(ground.required.sender), thorough=False)
        return f"{name_of(this_node())} gets no trials: {'; '.join(wrong)}" if wrong else ""
    if code_hash() != code:
        return f"enhance/ has changed since the run began (it was {code}, and is {code_hash()}): start it again"
    return ""


def _store(ground: Ground) -> Path:
    """On the machine: where it has the packed data."""
    if ground.required is None:
        return ground.store
    return open_delivered(ground.required.parcel, fetch_from(ground.required.sender)).path


class _Feed(Searcher):
    """Tune asks here for trials; the referee has them. `slots` says how many the machines can train at a time."""

    def __init__(
        self,
        referee: Referee,
        shared: dict[str, Any],
        failures: list[Exception],
        slots: Callable[[], int],
        notice: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._referee, self._shared, self._failures = referee, shared, failures
        self._slots, self._notice = slots, notice
        self._given: dict[str, Work | None] = {}
        self._again: deque[Work] = deque()
        self._unfit: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        if not self._is_room():
            return None
        with _remembered(self._failures):
            assignment = self._next()
        if assignment is None and not self._referee.over:
            # What comes next depends on trials that are running. Tune would end a worker that has nothing to do; one
            # that waits stays warm.
            self._given[trial_id] = None
            return {**self._shared, "assignment": None}
        if assignment is None:
            # The last trials are running and a slot has fallen idle: time to load what the summary needs (0.5 s).
            importlib.import_module("sweeps.engine.summary")
            return Searcher.FINISHED
        self._given[trial_id] = assignment
        return {**self._shared, "assignment": assignment}

    def has_work(self) -> bool:
        """Whether a worker would be given something."""
        return bool(self._again and not self._referee.closing) or self._referee.has_work()

    def take_back(self, trial: Any, why: str) -> None:
        """The trial's worker is on a machine that must not train: another one gets the work."""
        if trial.trial_id in self._unfit:
            return
        if why not in self._unfit.values():
            self._notice(why)
        self._unfit[trial.trial_id] = why
        trial.config["assignment"] = None  # if the worker is lost, the next one is not given it either
        work, self._given[trial.trial_id] = self._given[trial.trial_id], None
        if work is not None:
            self._again.append(work)
        if len(self._unfit) >= self._slots() and len(self._unfit) == len(self._given):
            self._referee.close("no machine is left that may train")

    def _next(self) -> Work | None:
        if self._again and not self._referee.closing:
            return self._again.popleft()
        return self._referee.next_assignment()

    def _is_room(self) -> bool:
        """Whether another trial may be given: by the machines that there are, or by --workers."""
        ground: Ground = self._shared["ground"]
        return len(self._given) < (self._slots() if ground.elastic else ground.workers + len(self._unfit))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        assignment = self._given.pop(trial_id)
        self._unfit.pop(trial_id, None)
        if error and assignment is not None and not self._failures:
            self._referee.lost(assignment, f"its worker died {LOST_WORKER_RETRIES + 1} times")

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing to save: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a run is resumed from its ledger, never from Tune's files")


class _Rungs(TrialScheduler):
    """Tune shows every result here; the referee says whether the trial goes on."""

    def __init__(self, referee: Referee, feed: _Feed, failures: list[Exception]) -> None:
        self._referee, self._feed, self._failures = referee, feed, failures

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        with _remembered(self._failures):
            if result["unfit"]:
                self._feed.take_back(trial, result["unfit"])
                return self.STOP if self._referee.over else self.CONTINUE
            if result["progress"] is None:
                idle = not (self._referee.over or self._feed.has_work())
                return self.CONTINUE if idle else self.STOP
            return self.CONTINUE if self._referee.hear(result["progress"]) else self.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        waiting = (t for t in tune_controller.get_live_trials() if t.status in ("PENDING", "PAUSED"))
        return next(waiting, None)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None: ...

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None: ...

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Tune keeps every trial to its end: what is in them is let go, or a driver of thousands would grow."""
        for held in (trial.config, trial.evaluated_params, vars(trial).get("_Trial__unresolved_config", {})):
            held.clear()
        trial.experiment_tag, trial._default_result_or_future = "", None
        known = trial.run_metadata
        # An empty last result would have Tune fetch a default one, which is larger.
        known.last_result, known.metric_analysis, known.metric_n_steps = {"done": True}, {}, {}

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None: ...

    def debug_string(self) -> str:
        return "the referee's rungs"


@contextlib.contextmanager
def _remembered(failures: list[Exception]) -> Iterator[None]:
    """Keep an error of the referee's before Tune turns it into text."""
    try:
        yield
    except Exception as error:
        failures.append(error)
        raise


class _Ticker(tune.Callback):
    """Keeps the live table moving between reports."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._tick()
