"""How the engine handles Ray Tune's attempts: what is redone and which trial yields, without Ray's processes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from enhance.data.storage.delivery import StoreTransfer
from sweeps.engine.cluster.node_check import Requirements
from sweeps.engine.protocol import Assignment, CannotStart, Progress
from sweeps.engine.replay.command import MemoryLedger
from sweeps.engine.run.controller import RunController
from sweeps.engine.sweep import Sweep
from sweeps.engine.workers import ray_tune
from sweeps.engine.workers.ray_actor import WorkerConfig
from sweeps.engine.workers.ray_tune import LOST_WORKER_RETRIES, _Feed, _Rungs
from tests.sweeps.engine.pretended import CONTEXT

REQUIRED = Requirements("c0de", {}, "cpu", (), None, StoreTransfer(Path("store"), "f00d", 1), "sender")
IDLE = {"unfit": "", "progress": None}
CONTINUE, STOP = _Rungs.CONTINUE, _Rungs.STOP


@dataclass(eq=False)
class Attempt:
    """What the engine looks at of a trial of Tune's."""

    trial_id: str
    status: str = "RUNNING"
    num_failures: int = 0
    config: dict[str, Any] = field(default_factory=dict)


class Tune:
    """Its controller, as far as a scheduler sees it: attempts that are asked for and end."""

    def __init__(
        self,
        controller: RunController,
        workers: int,
        required: Requirements | None = None,
        per_device: int | None = None,
    ) -> None:
        failures: list[Exception] = []
        self.controller = controller
        device = "cpu" if per_device is None else "cuda"
        shared = {"config": WorkerConfig(workers, device, Path("store"), required=required, per_device=per_device)}
        self.feed = _Feed(controller, shared, failures, lambda: workers, lambda sentence: None)
        self.rungs = _Rungs(controller, self.feed, failures)
        self.live: list[Attempt] = []

    def get_live_trials(self) -> list[Attempt]:
        return self.live

    def ask(self, status: str = "RUNNING") -> tuple[Attempt, Any]:
        """A new attempt and what it is at."""
        attempt = Attempt(f"attempt {len(self.live)}", status)
        config = attempt.config = self.feed.suggest(attempt.trial_id)
        self.live.append(attempt)
        return attempt, config["assignment"]

    def fail(self, attempt: Attempt, counted: bool = True) -> None:
        """As TuneController._process_trial_failure does it where nothing is retried."""
        attempt.num_failures += counted
        self.rungs.on_trial_error(self, attempt)
        self.feed.on_trial_complete(attempt.trial_id, error=True)
        attempt.status = "ERROR"

    def show_idle(self, attempt: Attempt) -> str:
        return self.rungs.on_trial_result(self, attempt, IDLE)


@pytest.fixture
def controller(sweep: Sweep) -> RunController:
    return RunController(sweep.with_budget(trials=1, seeds=1), MemoryLedger(), CONTEXT)


def test_work_that_lost_its_worker_is_given_again_before_any_other_and_at_last_given_up(sweep: Sweep) -> None:
    controller = RunController(sweep.with_budget(trials=5), MemoryLedger(), CONTEXT)
    tune = Tune(controller, workers=1)
    attempt, first = tune.ask()
    for _ in range(LOST_WORKER_RETRIES):
        tune.fail(attempt)
        attempt, again = tune.ask()
        assert again is first
    assert not controller.trials[first.trial].ending
    tune.fail(attempt)
    lost = controller.trials[first.trial]
    assert (lost.ending, lost.reason) == ("failed", "its worker died 4 times")
    assert tune.ask()[1].trial != first.trial


@pytest.mark.parametrize(("status", "counted"), [("PENDING", True), ("RUNNING", False)])
def test_a_worker_that_refused_and_a_machine_that_was_drained_cost_no_retry(
    controller: RunController, status: str, counted: bool
) -> None:
    tune = Tune(controller, workers=1)
    attempt, first = tune.ask(status)
    for _ in range(3 * LOST_WORKER_RETRIES):
        tune.fail(attempt, counted)
        attempt, again = tune.ask(status)
        assert again is first


def test_an_idle_worker_gives_its_place_to_work_that_waits_for_one(
    controller: RunController, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine of the only trial is lost, and a worker of another one waits for that trial: nothing may hang."""
    now = 1000.0
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now)
    tune = Tune(controller, workers=3)
    lost, work = tune.ask()
    idle, another = tune.ask()[0], tune.ask()[0]
    assert isinstance(work, Assignment)
    tune.fail(lost)
    waiting, again = tune.ask("PENDING")
    assert again is work
    assert tune.show_idle(idle) == CONTINUE  # it may yet get a machine of its own
    now += ray_tune.GIVE_WAY_S
    assert tune.show_idle(idle) == STOP
    assert tune.show_idle(another) == CONTINUE  # one place is enough
    assert tune.rungs.choose_trial_to_run(tune) is waiting


def test_nobody_gives_way_to_an_attempt_that_would_only_wait(
    controller: RunController, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(ray_tune.time, "monotonic", lambda: now)
    tune = Tune(controller, workers=3)
    tune.ask()
    idle, waiting = tune.ask()[0], tune.ask("PENDING")[0]
    for _ in range(3):
        assert tune.show_idle(idle) == CONTINUE
        now += ray_tune.GIVE_WAY_S
    assert tune.rungs.choose_trial_to_run(tune) is waiting


def test_work_goes_before_waiting_where_a_place_is_free(sweep: Sweep) -> None:
    tune = Tune(RunController(sweep.with_budget(trials=1), MemoryLedger(), CONTEXT), workers=2)
    with_work, _ = tune.ask("PENDING")
    without, nothing = tune.ask("PENDING")
    assert nothing is None
    tune.live = [without, with_work]
    assert tune.rungs.choose_trial_to_run(tune) is with_work


def test_a_run_ends_when_unfit_machines_hold_every_place(sweep: Sweep) -> None:
    """On a cluster other machines may join, so an unfit worker is no error. Another attempt then waits for a place."""
    tune = Tune(RunController(sweep, MemoryLedger(), CONTEXT), workers=2, required=REQUIRED)
    unfit = {"unfit": "this machine has other code", "progress": None}
    first, second = tune.ask()[0], tune.ask()[0]
    assert tune.rungs.on_trial_result(tune, first, unfit) == CONTINUE
    tune.ask("PENDING")
    assert tune.rungs.on_trial_result(tune, second, unfit) == STOP
    assert tune.controller.closing == "no machine is left that may train"


def test_workers_that_cannot_start_are_one_error_with_its_cause(sweep: Sweep) -> None:
    """The only machine there is: no trial is blamed, and the run does not end as if it had been carried out."""
    controller = RunController(sweep, MemoryLedger(), CONTEXT)
    tune = Tune(controller, workers=2)
    unfit = {"unfit": "no worker can start on here: ValueError: timeout_s=-5.0 must be > 0", "progress": None}
    attempts = [tune.ask()[0] for _ in range(2)]
    with pytest.raises(CannotStart, match=r"ValueError: timeout_s=-5\.0 must be > 0$"):
        tune.rungs.on_trial_result(tune, attempts[0], unfit)
    assert not any(trial.ending for trial in controller.trials.values())


def full(work: Assignment) -> dict[str, Any]:
    """What a worker returns whose GPU has no memory left."""
    progress = Progress(
        trial=work.trial, report=None, ending="failed", reason="out of memory on the device: ...", parameters=100,
        host="here", wall_s=1.0, device_full=True,
    )  # fmt: skip
    return {"unfit": "", "progress": progress}


def test_a_trial_that_found_a_shared_gpu_full_is_trained_again_beside_fewer(sweep: Sweep) -> None:
    controller = RunController(sweep.with_budget(trials=5), MemoryLedger(), CONTEXT)
    tune = Tune(controller, workers=4, per_device=4)
    assert tune.feed.gpu_share == 0.25
    (crowded, first), (other, _) = tune.ask(), tune.ask()
    assert tune.rungs.on_trial_result(tune, crowded, full(first)) == STOP
    tune.feed.on_trial_complete(crowded.trial_id)
    # Nothing new begins beside those that still train, and idle workers end.
    assert tune.feed.suggest("one more") == tune.feed.FINISHED
    assert tune.show_idle(other) == STOP
    assert not controller.trials[first.trial].ending
    said = tune.feed.share_with_fewer()
    assert said == "a GPU ran out of memory with 4 trials at a time; from now on it trains 2"
    assert tune.feed.gpu_share == 0.5
    assert tune.ask()[1] is first


def test_a_trial_alone_on_its_gpu_fails_for_lack_of_memory(sweep: Sweep) -> None:
    controller = RunController(sweep.with_budget(trials=5), MemoryLedger(), CONTEXT)
    tune = Tune(controller, workers=1, per_device=2)
    attempt, first = tune.ask()
    tune.rungs.on_trial_result(tune, attempt, full(first))
    tune.feed.on_trial_complete(attempt.trial_id)
    tune.feed.share_with_fewer()
    attempt, again = tune.ask()
    assert again is first
    assert tune.rungs.on_trial_result(tune, attempt, full(first)) == STOP
    assert not tune.feed.crowded
    assert controller.trials[first.trial].ending == "failed"
    assert controller.trials[first.trial].reason.startswith("out of memory on the device")


def test_no_more_trials_wait_for_a_gpu_of_this_machine_than_it_takes(sweep: Sweep) -> None:
    controller = RunController(sweep.with_budget(trials=5), MemoryLedger(), CONTEXT)
    tune = Tune(controller, workers=3, per_device=2)
    tune.feed._slots = lambda: 2
    assert [tune.ask()[1] is not None for _ in range(2)] == [True, True]
    assert tune.feed.suggest("a third") is None
