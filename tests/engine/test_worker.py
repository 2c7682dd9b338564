"""A worker, without Ray: every ending with its reason, the watchdog, and pausing in one worker to go on in another."""

import gc
import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from enhance.conditions import Conditions
from enhance.config import Scalar, from_flat
from enhance.data import PatchStore, open_data
from enhance.microrun import MicroRun
from enhance.report import Report
from sweeps.engine.environment import THREADS
from sweeps.engine.messages import Assignment, Measured, Measurement, Progress
from sweeps.engine.watchdog import Hung, watched
from sweeps.engine.worker import Worker

PIXEL: dict[str, Scalar] = {
    "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 7, "train.batch_size": 2,
    "train.crop_px": 32, "train.val_images": 4,
}  # fmt: skip
PATCH: dict[str, Scalar] = {"critic.family": "patch", "critic.channels": 4, "critic.layers": 2, "loss.adversarial": 1.0}
CYCLE: dict[str, Scalar] = {
    "train.rule": "cycle", "loss.pixel": 0.0, "loss.cycle": 10.0, "cycle.pool_images": 3, "train.ema": 0.9,
    "optimizer.schedule": "cosine",
}  # fmt: skip
KINDS: dict[str, dict[str, Scalar]] = {
    "pixel": PIXEL,
    "adversarial": {**PIXEL, **PATCH, "critic.norm": "batch"},
    "cycle": {**PIXEL, **PATCH, **CYCLE},
    "bf16": {**PIXEL, "train.dtype": "bf16"},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hanging work waits for: no test leaves a thread behind."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "watched":
            thread.join(10)


def assignment(config: dict[str, Scalar], *rung_steps: int, **changes: Any) -> Assignment:
    return Assignment(trial="t1", config=config, seed=0, rung_steps=rung_steps or (2, 4, 7), **changes)


def advanced(worker: Worker, given: Assignment) -> Progress:
    worker.start(given)
    return worker.advance()


def numbers(progress: Progress) -> tuple[object, ...]:
    """Everything in a report but its times."""
    report = progress.report
    assert isinstance(report, Report), progress.reason
    return (
        report.step, report.metrics, report.spread, report.losses, report.signals, report.loss_total,
        report.grad_norm, report.learning_rate,
    )  # fmt: skip


# --- endings -------------------------------------------------------------------------------------------------------


def test_a_trial_reports_at_its_rungs(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    first = advanced(worker, assignment(PIXEL))
    second = worker.advance()
    assert [p.report.step for p in (first, second) if p.report] == [2, 4]
    assert (first.trial, first.ending, first.reason, first.state) == ("t1", "", "", None)


def test_parts_that_do_not_go_together_are_refused_with_every_problem_in_one_line(demo: PatchStore) -> None:
    wrong = {**PIXEL, "loss.pixel": 0.0, "phases.curve_at": 0.5}
    said = advanced(Worker(demo.path, "cpu"), assignment(wrong))
    assert (said.ending, said.report) == ("refused", None)
    assert "at least one loss weight must be > 0" in said.reason
    assert "phases.* is used by train.rule=phased only, not by paired" in said.reason
    assert "\n" not in said.reason


def test_a_value_outside_its_law_is_refused(demo: PatchStore) -> None:
    said = advanced(Worker(demo.path, "cpu"), assignment({**PIXEL, "net.kernel": 0}))
    assert said.ending == "refused"
    assert "net.kernel" in said.reason


def test_data_that_do_not_suit_are_a_refusal(demo: PatchStore) -> None:
    said = advanced(Worker(demo.path, "cpu"), assignment({**PIXEL, "train.crop_px": 128}))
    assert said.ending == "refused"
    assert said.reason == "train.crop_px=128 is larger than the pictures of demo: 100 px"


def test_divergence_is_an_ending_and_the_worker_goes_on(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    wild = {**PIXEL, "loss.pixel_norm": "mse", "loss.tv": 1.0, "optimizer.lr": 1e30, "guard.window_steps": 1}
    assert advanced(worker, assignment(wild)).ending == "diverged"
    fresh = advanced(Worker(demo.path, "cpu"), assignment(PIXEL))
    assert numbers(advanced(worker, assignment(PIXEL))) == numbers(fresh)


def full_host() -> Tensor:
    return torch.empty(1 << 60)


def full_host_of_numpy() -> object:
    return np.empty(1 << 59)


def full_device() -> object:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def full_device_of_cublas() -> object:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    ("trouble", "beginning"),
    [
        (full_host, "out of memory on this machine: RuntimeError: "),
        (full_host_of_numpy, "out of memory on this machine: "),
        (full_device, "out of memory on the device: OutOfMemoryError: CUDA out of memory."),
        (full_device_of_cublas, "out of memory on the device: RuntimeError: "),
        (lambda: [].pop(), "IndexError: pop from empty list (at test_worker.py:"),
    ],
)
@pytest.mark.parametrize("timeout_s", [None, 60.0])
def test_a_failure_says_what_ran_out_and_where(
    demo: PatchStore,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[], object],
    beginning: str,
    timeout_s: float | None,
) -> None:
    """The host's lacks are the real ones of torch and numpy."""
    monkeypatch.setattr(MicroRun, "advance", lambda self, steps: trouble())
    worker = Worker(demo.path, "cpu", timeout_s=timeout_s)
    said = advanced(worker, assignment(PIXEL))
    assert said.ending == "failed"
    assert said.reason.startswith(beginning)
    assert not worker.tainted


# --- the watchdog --------------------------------------------------------------------------------------------------


@every_kind
def test_a_thread_of_its_own_changes_no_bit(demo: PatchStore, kind: dict[str, Scalar]) -> None:
    plain, timed = Worker(demo.path, "cpu"), Worker(demo.path, "cpu", timeout_s=600)
    plain.start(assignment(kind))
    timed.start(assignment(kind))
    for _ in range(3):
        expected = numbers(plain.advance())
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):  # states of the calling thread
            assert numbers(timed.advance()) == expected


def test_the_thread_trains_with_the_promised_number_of_threads(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    advance = MicroRun.advance

    def watching(run: MicroRun, steps: int) -> Report:
        seen.append((torch.get_num_threads(), threading.current_thread() is threading.main_thread()))
        return advance(run, steps)

    monkeypatch.setattr(MicroRun, "advance", watching)
    try:
        torch.set_num_threads(THREADS + 1)
        advanced(Worker(demo.path, "cpu", timeout_s=600), assignment(PIXEL))
    finally:
        torch.set_num_threads(1)
    advanced(Worker(demo.path, "cpu"), assignment(PIXEL))
    assert seen == [(THREADS, False), (THREADS, True)]


def test_a_trial_that_hangs_ends_and_taints_the_worker(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    worker = Worker(demo.path, "cpu", timeout_s=600)
    assert advanced(worker, assignment(PIXEL)).ending == ""
    assert worker._run is not None
    train = worker._run.rule.train_step

    def hanging(step: int) -> object:
        if step == 3:
            release.wait()
        return train(step)

    monkeypatch.setattr(worker._run.rule, "train_step", hanging)
    worker.timeout_s = 1
    said = worker.advance()
    assert said.ending == "failed"
    assert said.reason.startswith("timeout: no progress for 1 s (step 3) (at threading.py:")
    assert said.parameters is not None
    assert worker.tainted
    with pytest.raises(RuntimeError, match="must be replaced"):
        worker.start(assignment(PIXEL))


def test_building_may_hang_too(demo: PatchStore, monkeypatch: pytest.MonkeyPatch, release: threading.Event) -> None:
    monkeypatch.setattr("sweeps.engine.worker.from_flat", lambda values: release.wait())
    said = advanced(Worker(demo.path, "cpu", timeout_s=0.2), assignment(PIXEL))
    assert said.reason.startswith("timeout: no progress for 0.2 s (step 0)")
    assert said.parameters is None


def test_a_timeout_must_be_positive(demo: PatchStore) -> None:
    with pytest.raises(ValueError, match=r"timeout_s=0 must be > 0, or None"):
        Worker(demo.path, "cpu", timeout_s=0)


def test_work_that_shows_signs_of_life_may_take_longer_than_the_patience() -> None:
    """Three times as long, with sixty of them."""
    beats: list[int] = []

    def work() -> str:
        for beat in range(60):
            time.sleep(0.05)
            beats.append(beat)
        return "done"

    assert watched(work, lambda: len(beats), patience_s=1) == "done"


def test_the_watchdog_says_where_the_work_stands(release: threading.Event) -> None:
    with pytest.raises(Hung, match=r"^no progress for 0.1 s \(at threading.py:\d+\)$"):
        watched(release.wait, lambda: 0, patience_s=0.1)


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(SystemExit):
        watched(lambda: exec("raise SystemExit(3)"), lambda: 0, patience_s=60)


# --- pausing -------------------------------------------------------------------------------------------------------


def unpacked(state: bytes) -> Any:
    """What is in a state, read without executing anything."""
    return torch.load(io.BytesIO(state), weights_only=True)


@every_kind
@pytest.mark.parametrize("timeout_s", [None, 600.0])
def test_a_trial_goes_on_in_another_worker_bit_for_bit(
    demo: PatchStore, kind: dict[str, Scalar], timeout_s: float | None
) -> None:
    straight = Worker(demo.path, "cpu")
    straight.start(assignment(kind))
    expected = [numbers(straight.advance()) for _ in range(3)]

    first, second = (Worker(demo.path, "cpu", timeout_s=timeout_s) for _ in range(2))
    seen = [numbers(advanced(first, assignment(kind)))]
    advanced(second, assignment(KINDS["pixel"]))  # another trial was here before
    for worker, other in ((second, first), (first, second)):
        seen.append(numbers(advanced(worker, assignment(kind, state=other.state()))))
    assert seen == expected


@every_kind
def test_a_state_is_plain_and_whole(demo: PatchStore, kind: dict[str, Scalar]) -> None:
    """Plain types and tensors on the CPU, none of them a view of more, and nothing is missing."""
    worker = Worker(demo.path, "cpu")
    advanced(worker, assignment(kind))
    before = list(leaves(unpacked(worker.state())))
    assert list(leaves(unpacked(worker.state()))) == before
    worker.advance()
    assert list(leaves(unpacked(worker.state()))) != before


def leaves(value: Any) -> Iterator[object]:
    if isinstance(value, Tensor):
        assert (value.device.type, value.requires_grad) == ("cpu", False)
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size()  # a copy, no view of more
        yield value.tolist()
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        assert value is None or isinstance(value, bool | int | float | str)
        yield value


def test_a_state_comes_with_every_report_but_the_last_where_pauses_are_possible(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    worker.start(assignment(PIXEL, pauses=True))
    states = [worker.advance().state for _ in range(3)]
    assert [state and unpacked(state)["step"] for state in states] == [2, 4, None]


def test_a_large_state_is_not_kept(demo: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.engine.worker.STATE_LIMIT_BYTES", 1000)
    worker = Worker(demo.path, "cpu")
    worker.start(assignment(PIXEL, pauses=True))
    said = worker.advance()
    assert said.report is not None
    assert said.state is None


def test_a_state_that_does_not_fit_is_a_failure(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    advanced(worker, assignment(PIXEL))
    said = advanced(worker, assignment({**PIXEL, "net.channels": 8}, state=worker.state()))
    assert said.ending == "failed"
    assert "size mismatch" in said.reason


def test_a_failed_micro_run_is_let_go_with_the_next_trial(demo: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing (an exception's frames, say) may hold its memory."""
    runs: list[weakref.ref[MicroRun]] = []

    def failing(run: MicroRun, steps: int) -> Report:
        runs.append(weakref.ref(run))
        raise ValueError

    monkeypatch.setattr(MicroRun, "advance", failing)
    worker = Worker(demo.path, "cpu", timeout_s=600)
    advanced(worker, assignment(PIXEL))
    gc.collect()
    gc.disable()
    try:
        worker.start(assignment(PIXEL))
        assert runs[0]() is None
    finally:
        gc.enable()


def measurement(**net: Scalar) -> Measurement:
    conditions = Conditions(width_px=32, height_px=24, min_rounds=3, max_s=0.01)
    return Measurement(network="n", config={**PIXEL, **net}, conditions=conditions)


def test_a_measurement_is_answered_with_a_cost_and_leaves_no_trace_in_the_next_trial(demo: PatchStore) -> None:
    alone, after = Worker(demo.path, "cpu"), Worker(demo.path, "cpu", timeout_s=60.0)
    after.start(measurement())
    answer = after.advance()
    assert isinstance(answer, Measured)
    assert answer.network == "n"
    assert answer.cost.failure == ""
    assert answer.cost.parameters == MicroRun(from_flat(PIXEL), 0, demo, "cpu").parameters
    reports = []
    for worker in (alone, after):
        worker.start(Assignment(trial="t", config=PIXEL, seed=0, rung_steps=(7,)))
        progress = worker.advance()
        assert isinstance(progress, Progress)
        assert progress.report is not None
        reports.append((progress.report.metrics, progress.report.losses))
    assert reports[0] == reports[1]
    assert torch.get_num_threads() == THREADS


def test_what_was_measured_earlier_is_the_answer_on_the_same_device_alone(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    worker.start(measurement())
    first = worker.advance()
    assert isinstance(first, Measured)
    for change, kept in (({}, True), ({"device_name": "another"}, False), ({"torch": "0.1"}, False)):
        earlier = replace(first.cost, **change)
        worker.start(replace(measurement(), earlier=earlier))
        again = worker.advance()
        assert isinstance(again, Measured)
        assert (again.cost == earlier) is kept


def test_a_measurement_that_hangs_is_a_failure(demo: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr("enhance.cost.measure", lambda net, conditions, beat: released.wait(60))
    worker = Worker(demo.path, "cpu", timeout_s=0.2)
    worker.start(measurement())
    answer = worker.advance()
    released.set()
    assert isinstance(answer, Measured)
    assert answer.cost.failure.startswith("timeout: no progress for 0.2 s")
    assert worker.tainted


def test_a_bug_in_a_measurement_is_a_failure_of_that_network_alone(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("as told")

    monkeypatch.setattr("enhance.cost.measure", broken)
    worker = Worker(demo.path, "cpu")
    worker.start(measurement())
    answer = worker.advance()
    assert isinstance(answer, Measured)
    assert answer.cost.failure.startswith("ZeroDivisionError: as told")
