"""Ray Tune as the carrier of trials: a class Trainable on warm, reused actors, and adapters to the referee.

Tune keeps machines and processes; what is searched, stopped and recorded is the referee's. Tune's own loggers, result
files and snapshots are off: the ledger holds everything that a resumed run needs (see DECISIONS.md).
"""

import contextlib
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.engine.messages import Work
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


def run_on_ray(
    referee: Referee,
    workers: int,
    store: Path,
    device: str,
    timeout_s: float | None,
    tick: Callable[[], None],
) -> None:
    """Carry every assignment of `referee` to Ray workers, up to `workers` at a time. Ray must have been started."""
    os.environ.update(_ENVIRONMENT)
    # Tune starts actors with PL_DISABLE_FORK, for Lightning. With no variable of their own they are given the processes
    # that Ray has started already, which have torch loaded (see machines.py), instead of new ones.
    class_cache.DEFAULT_ENV_VARS.clear()
    slots = {"CPU": 1.0}
    if device == "cuda":
        slots["GPU"] = float(ray.cluster_resources().get("GPU", 0)) / workers  # type: ignore[no-untyped-call]
    failures: list[Exception] = []
    feed = _Feed(referee, {"store": str(store), "device": device, "timeout_s": timeout_s}, failures)
    with tempfile.TemporaryDirectory(prefix="teststrip-tune-") as scratch:
        try:
            # tune.run, not Tuner: Tuner pickles the searcher (and with it the ledger) for a restore that never happens.
            tune.run(
                WarmWorker,
                search_alg=feed,
                scheduler=_Rungs(referee, failures),
                resources_per_trial=tune.PlacementGroupFactory([slots]),
                num_samples=-1,
                max_concurrent_trials=workers,
                reuse_actors=True,
                max_failures=LOST_WORKER_RETRIES,
                callbacks=[_Ticker(tick)],
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
    """A worker inside a Ray actor. One `step` is one stretch to the next rung; a reset takes the next trial."""

    def setup(self, config: dict[str, Any]) -> None:
        from sweeps.engine.worker import Worker  # here, in the actor: the driver stays without torch

        self.worker = Worker(Path(config["store"]), config["device"], timeout_s=config["timeout_s"])
        self._take(config["assignment"])

    def _take(self, assignment: Work | None) -> None:
        self.idle_s = IDLE_S if assignment is None else 0.0
        if assignment is not None:
            self.worker.start(assignment)

    def step(self) -> dict[str, Any]:
        if self.idle_s:
            time.sleep(self.idle_s)
            self.idle_s = min(2 * self.idle_s, LONGEST_IDLE_S)
            return {"progress": None}
        return {"progress": self.worker.advance()}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if self.worker.tainted:
            return False  # a hung trial cannot be ended, only its process: Ray gives the next trial another one
        self._take(new_config["assignment"])
        return True


class _Feed(Searcher):
    """Tune asks here for trials; the referee has them."""

    def __init__(self, referee: Referee, shared: dict[str, Any], failures: list[Exception]) -> None:
        super().__init__()
        self._referee, self._shared, self._failures = referee, shared, failures
        self._given: dict[str, Work | None] = {}

    def suggest(self, trial_id: str) -> Any:
        with _remembered(self._failures):
            assignment = self._referee.next_assignment()
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

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        assignment = self._given.pop(trial_id)
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

    def __init__(self, referee: Referee, failures: list[Exception]) -> None:
        self._referee, self._failures = referee, failures

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        with _remembered(self._failures):
            if result["progress"] is None:
                idle = not (self._referee.over or self._referee.has_work())
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
