"""Adapters between the controller and Ray Tune, which places the workers (`ray_actor.py`) on machines.

Tune manages machines and processes; the controller decides what is searched, stopped and recorded. Tune's loggers,
result files and snapshots are off: the ledger holds everything that a resumed run needs (see DECISIONS.md).

A Tune trial is one attempt of a worker at some work. If the worker is lost, the attempt is over, and the work goes to
the next worker that is free.
"""

import contextlib
import importlib
import logging
import os
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from enhance.config import flatten
from sweeps.engine.cluster.nodes import Watch, gpu_share, most_together
from sweeps.engine.cluster.ray_internals import empty_trial, let_actors_reuse_processes, session_folder
from sweeps.engine.environment import code_hash, file_hash
from sweeps.engine.protocol import Answer, CannotStart, Measurement, Progress, Work
from sweeps.engine.run.controller import RunController
from sweeps.engine.workers.ray_actor import WarmWorker, WorkerConfig, sharing_here
from sweeps.engine.workers.sharing import Sharing, fewer, large_configurations

LOST_WORKER_RETRIES = 3
"""A trial is started again this many times after its worker died; then it ends as failed."""

GIVE_WAY_S = 15.0
"""An idle worker keeps its place this long while a trial waits for one."""

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON, TensorBoard beside the ledger
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # results are messages for the controller, not metrics
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # Tune's snapshots are not what a run resumes from
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # start all workers at once: with a searcher of our own the default is one
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # an ending and its reason are in the ledger
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # signals are the driver's
    "RAY_AIR_NEW_OUTPUT": "0",  # the table is ours
}


def run_on_ray(
    controller: RunController,
    config: WorkerConfig,
    timeout_s: float | None,
    tick: Callable[[], None],
    notice: Callable[[str], None],
) -> None:
    """Run every assignment of `controller` on Ray workers. Ray must have been started.

    `notice` is called with a sentence for each machine that joins, leaves or cannot train. Raises what the controller
    raises, such as OSError for a full disk.
    """
    # Tune reads these variables when it runs, so it may have been imported before.
    os.environ.update(_ENVIRONMENT)
    # At the end it reports lost attempts as errors, although their work was done elsewhere.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    let_actors_reuse_processes()
    watch = Watch()
    config = _settled(controller, config, watch, notice)
    # What the controller raises inside Tune: feed and rungs add to it, and it is raised again below.
    failures: list[Exception] = []
    shared = {"config": config, "timeout_s": timeout_s, "code": code_hash(), "files": file_hash()}
    feed = _Feed(controller, shared, failures, lambda: watch.slots(config.device, feed.gpu_share), notice)

    def each_step() -> None:
        # Only a cluster (`required`) has machines that come and go.
        for change in watch.changes() if config.required is not None else []:
            notice(change)
        tick()

    _run_tune(controller, feed, failures, each_step)
    # Tune reserves the same share of a GPU for all attempts of a run, so a larger one takes another run.
    while feed.crowded and not controller.closing:
        notice(feed.share_with_fewer())
        _run_tune(controller, feed, failures, each_step)


def _settled(
    controller: RunController, config: WorkerConfig, watch: Watch, notice: Callable[[str], None]
) -> WorkerConfig:
    """`config` with a number of trials per GPU; None on a CPU. Raises CannotStart if it cannot be measured."""
    if config.device != "cuda":
        return replace(config, per_device=None)
    together = config.per_device
    if config.required is None and not any(node.gpus for node in watch.nodes):
        raise CannotStart("--device cuda: Ray sees no GPU on this machine; CUDA_VISIBLE_DEVICES may hide it")
    if together is None:
        share = 1.0 if config.elastic else gpu_share(config.workers, sum(node.gpus for node in watch.nodes))
        together = round(1 / share)
    if together == "auto":
        configs = [flatten(own) for own in large_configurations(controller.sweep)]
        probe = ray.remote(num_gpus=1, max_retries=0)(sharing_here)
        notice("--per-device auto: measuring how many trials a GPU takes at a time")
        try:
            found: Sharing = ray.get(probe.remote(config, configs, most_together(watch.nodes)))
        except ray.exceptions.RayError as error:
            why = getattr(error, "cause", error)
            raise CannotStart(f"--per-device auto could not measure: {why}; give a number instead") from None
        notice(f"--per-device auto: {found.why}")
        together = found.together
    return replace(config, per_device=together)


def _run_tune(
    controller: RunController, feed: "_Feed", failures: list[Exception], each_step: Callable[[], None]
) -> None:
    """Run attempts until the feed gives none. Raises what the controller raises."""
    slots = {"CPU": 1.0, "GPU": feed.gpu_share} if feed.gpu_share else {"CPU": 1.0}
    # Tune insists on a folder, although nothing reads it again. A killed driver cannot remove it, so it lies with what
    # Ray leaves behind anyway.
    with tempfile.TemporaryDirectory(prefix="teststrip-tune-", dir=session_folder()) as scratch:
        try:
            # tune.run, not Tuner: Tuner pickles the searcher (and with it the ledger) for a restore that never happens.
            tune.run(
                WarmWorker,
                search_alg=feed,
                scheduler=_Rungs(controller, feed, failures),
                resources_per_trial=tune.PlacementGroupFactory([slots]),
                num_samples=-1,
                reuse_actors=True,
                max_failures=0,  # a lost worker is an attempt's end; the feed has its work done elsewhere
                callbacks=[_Ticker(each_step)],
                storage_path=scratch,
                trial_dirname_creator=lambda trial: trial.trial_id,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except Exception:
            # Tune turned the error into text; the error itself says more.
            if failures:
                raise failures[0] from None
            raise


class _Feed(Searcher):
    """Gives Tune the controller's work. `slots` returns how many trials the machines can train at a time."""

    def __init__(
        self,
        controller: RunController,
        shared: dict[str, Any],
        failures: list[Exception],
        slots: Callable[[], int],
        notice: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._controller, self._shared, self._failures = controller, shared, failures
        self._slots, self._notice = slots, notice
        # The work of each attempt that has not ended, by Tune's id of the attempt. None: it only keeps a worker warm.
        self._given: dict[str, Work | None] = {}
        # Work that lost its worker, how often each lost one, and the attempts on unfit machines with the reason.
        self._again: deque[Work] = deque()
        self._losses: Counter[str] = Counter()
        self._unfit: dict[str, str] = {}
        # Whether the memory of a GPU has run out that several trials shared: nothing more is given out until all have
        # ended and fewer share it.
        self.crowded = False

    @property
    def gpu_share(self) -> float:
        """The share of a GPU that each attempt takes; 0 on a CPU."""
        config: WorkerConfig = self._shared["config"]
        return 1.0 / config.per_device if isinstance(config.per_device, int) else 0.0

    def share_with_fewer(self) -> str:
        """Let fewer trials share a GPU from now on; returns a sentence about it."""
        config: WorkerConfig = self._shared["config"]
        assert isinstance(config.per_device, int), "only trials on a GPU crowd each other"
        together = fewer(config.per_device)
        self._shared = {**self._shared, "config": replace(config, per_device=together)}
        self.crowded = False
        return f"a GPU ran out of memory with {config.per_device} trials at a time; from now on it trains {together}"

    def suggest(self, trial_id: str) -> Any:
        if self.crowded:
            return Searcher.FINISHED
        # To Tune, None means "not now": it asks again later. FINISHED is final.
        if not self._is_room():
            return None
        with _keep_error(self._failures):
            assignment = self._next()
        if assignment is None and not self._controller.over:
            # The next work depends on trials that are running. Without an attempt Tune would end the idle worker;
            # with one that only waits, it stays warm.
            self._given[trial_id] = None
            return {**self._shared, "assignment": None}
        if assignment is None:
            # The last trials are running and a slot is idle: import now what the summary needs (0.5 s).
            importlib.import_module("sweeps.engine.cli.display.summary")
            return Searcher.FINISHED
        self._given[trial_id] = assignment
        return {**self._shared, "assignment": assignment}

    def has_work(self) -> bool:
        """Whether a worker would be given something."""
        return bool(self._again and not self._controller.closing) or self._controller.has_work()

    def holds_work(self, trial_id: str) -> bool:
        """Whether this attempt has work: it has not ended, and does not only keep a worker warm."""
        return self._given.get(trial_id) is not None

    def count_loss(self, trial_id: str) -> None:
        """The attempt's worker died on a machine that had not announced its end."""
        work = self._given.get(trial_id)
        if work is not None:
            self._losses[_name(work)] += 1

    def give_back(self, trial_id: str, answer: Answer) -> bool:
        """Whether `answer` only says that a shared GPU was full: another attempt then gets the work, beside fewer."""
        work = self._given[trial_id]
        if not (isinstance(answer, Progress) and answer.device_full and 0 < self.gpu_share < 1 and work):
            return False
        self._again.append(work)
        self._given[trial_id] = None
        self.crowded = True
        return True

    def take_back(self, trial: Any, why: str) -> None:
        """The attempt's worker is on a machine that must not train: another one gets its work."""
        # Without a cluster this is the only machine, and none will join.
        if self._shared["config"].required is None:
            raise CannotStart(why)
        # It says so again at every step: it keeps its slot (see `WarmWorker`).
        if trial.trial_id in self._unfit:
            return
        if why not in self._unfit.values():
            self._notice(why)
        self._unfit[trial.trial_id] = why
        # Or a new worker in its place would begin the work, which another one gets.
        trial.config["assignment"] = None
        work, self._given[trial.trial_id] = self._given[trial.trial_id], None
        if work is not None:
            self._again.append(work)
        # If they hold every place, what waits for one would wait forever.
        if len(self._unfit) >= self._slots():
            self._controller.close("no machine is left that may train")

    def _next(self) -> Work | None:
        # Work that was begun comes first: the search hears nothing of its configuration until it has ended.
        if self._again and not self._controller.closing:
            return self._controller.renewed(self._again.popleft())
        return self._controller.next_assignment()

    def _is_room(self) -> bool:
        """Whether another attempt fits: on the machines that there are, or within --workers."""
        config: WorkerConfig = self._shared["config"]
        # An unfit attempt trains nothing, so it does not count against --workers. The slots it does occupy.
        if config.elastic:
            return len(self._given) < self._slots()
        # On this machine no GPU joins later, so more attempts than fit would only wait with their work.
        most = config.workers if config.required or not self.gpu_share else min(config.workers, self._slots())
        return len(self._given) < most + len(self._unfit)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        work = self._given.pop(trial_id)
        self._unfit.pop(trial_id, None)
        # After a failure of the controller itself the run is over, and attempts end in error only because of that.
        if error and work is not None and not self._failures:
            losses = self._losses[_name(work)]
            if losses <= LOST_WORKER_RETRIES:
                self._again.append(work)
                return
            with _keep_error(self._failures):
                self._controller.lost(work, f"its worker died {losses} times")

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing to save: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a run is resumed from its ledger, never from Tune's files")


class _Rungs(TrialScheduler):
    """Passes every result to the controller, which decides whether the trial goes on."""

    def __init__(self, controller: RunController, feed: _Feed, failures: list[Exception]) -> None:
        self._controller, self._feed, self._failures = controller, feed, failures
        # Attempts without a machine, and since when.
        self._waiting: dict[str, float] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        with _keep_error(self._failures):
            if result["unfit"]:
                self._feed.take_back(trial, result["unfit"])
                return self.STOP if self._controller.over else self.CONTINUE
            if result["progress"] is None:
                # STOP ends the attempt, not the worker: Tune gives that to the next attempt (`reuse_actors`).
                idle = not (self._controller.over or self._feed.crowded or self._feed.has_work())
                keeps = idle and not self._must_give_way(tune_controller.get_live_trials())
                return self.CONTINUE if keeps else self.STOP
            if self._feed.give_back(trial.trial_id, result["progress"]):
                return self.STOP
            return self.CONTINUE if self._controller.hear(result["progress"]) else self.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        waiting = [t for t in tune_controller.get_live_trials() if t.status in ("PENDING", "PAUSED")]
        # Work goes first, then attempts that only keep a worker warm.
        return max(waiting, key=lambda trial: self._feed.holds_work(trial.trial_id), default=None)

    def _must_give_way(self, live: Iterable[Any]) -> bool:
        """Whether an idle worker must give its place to an attempt that has waited for GIVE_WAY_S.

        If a machine was lost or never came, there are fewer places than attempts, and the idle workers may be waiting
        for the very work that has no place.
        """
        now = time.monotonic()
        waiting = [t.trial_id for t in live if t.status == "PENDING" and self._feed.holds_work(t.trial_id)]
        self._waiting = {name: self._waiting.get(name, now) for name in waiting}
        longest = min(waiting, key=self._waiting.__getitem__, default=None)
        if longest is None or now - self._waiting[longest] < GIVE_WAY_S:
            return False
        # Its time starts again, so that one idle worker gives way to it, not all of them.
        self._waiting[longest] = now
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None: ...

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Count the loss of a worker. Tune calls this before the feed's `on_trial_complete`, which acts on the count.

        A worker that refused the work (its attempt is PENDING) was not lost. And Tune counts no failure for a machine
        that was drained before it left.
        """
        if trial.status == "RUNNING" and trial.num_failures:
            self._feed.count_loss(trial.trial_id)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        # Tune keeps every trial, so the driver's memory would grow by a whole configuration with each.
        empty_trial(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None: ...

    def debug_string(self) -> str:
        return "the controller's rungs"


def _name(work: Work) -> str:
    return work.network if isinstance(work, Measurement) else work.trial


@contextlib.contextmanager
def _keep_error(failures: list[Exception]) -> Iterator[None]:
    """Keep an error of the controller, which Tune would turn into text."""
    try:
        yield
    except Exception as error:
        failures.append(error)
        raise


class _Ticker(tune.Callback):
    """Updates the live table between reports."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._tick()
