"""Every ending of a trial, with its reason."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from enhance.data import PatchStore
from enhance.microrun import MicroRun
from enhance.report import Report
from enhance.training.recording import Machines
from sweeps.engine.workers.worker import Worker
from tests.patience import PATIENCE_S
from tests.sweeps.engine.workers.small_trials import PIXEL, advanced, assignment, numbers


def test_a_trial_reports_at_its_rungs(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    first = advanced(worker, assignment(PIXEL))
    second = worker.advance()
    assert [(p.steps, p.unreported_s) for p in (first, second)] == [(2, 0.0), (4, 0.0)]
    assert [p.report.step for p in (first, second) if p.report] == [2, 4]
    assert (first.trial, first.ending, first.reason, first.state) == ("t1", "", "", None)
    assert first.captured == "eager: on a CPU"


def test_parts_that_do_not_go_together_are_refused_with_every_problem_in_one_line(demo: PatchStore) -> None:
    wrong = {**PIXEL, "loss.pixel": 0.0, "phases.curve_at": 0.5}
    said = advanced(Worker(demo.path, "cpu"), assignment(wrong))
    assert (said.ending, said.report) == ("refused", None)
    assert "at least one must be above 0" in said.reason
    assert "phases.* applies to train.rule=phased only, not to paired" in said.reason
    assert "\n" not in said.reason


def test_a_value_outside_its_law_is_refused(demo: PatchStore) -> None:
    said = advanced(Worker(demo.path, "cpu"), assignment({**PIXEL, "net.kernel": 0}))
    assert said.ending == "refused"
    assert "net.kernel" in said.reason


def test_data_that_do_not_suit_are_a_refusal(demo: PatchStore) -> None:
    said = advanced(Worker(demo.path, "cpu"), assignment({**PIXEL, "train.crop_px": 128}))
    assert said.ending == "refused"
    assert "train.crop_px=128" in said.reason
    assert "100 px" in said.reason


def test_divergence_is_an_ending_and_the_worker_goes_on(demo: PatchStore) -> None:
    worker = Worker(demo.path, "cpu")
    wild = {**PIXEL, "loss.pixel_norm": "mse", "loss.tv": 1.0, "optimizer.lr": 1e30, "guard.window_steps": 1}
    said = advanced(worker, assignment(wild))
    assert said.ending == "diverged"
    assert said.steps >= 1  # it came to no report, and its work is counted all the same
    assert 0 < said.unreported_s <= said.wall_s
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "beginning"),
    [
        (full_host, "out of memory on this machine: RuntimeError: "),
        (full_host_of_numpy, "out of memory on this machine: "),
        (full_device, "out of memory on the device: OutOfMemoryError: CUDA out of memory."),
        (full_device_of_cublas, "out of memory on the device: RuntimeError: "),
        (lambda: [].pop(), "IndexError: pop from empty list (at test_endings.py:"),
    ],
)
@pytest.mark.parametrize("timeout_s", [None, PATIENCE_S])
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
    assert said.device_full == beginning.startswith("out of memory on the device")
    assert not worker.tainted


@pytest.mark.slow
def test_a_gpu_that_recordings_filled_is_tried_once_more_without_them(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = advanced(Worker(demo.path, "cpu"), assignment(PIXEL))
    kept, train = Machines(most=4), MicroRun.advance
    monkeypatch.setattr("sweeps.engine.workers.worker.MACHINES", kept)

    def crowded(run: MicroRun, steps: int) -> Report:
        return full_device() if kept._kept else train(run, steps)  # type: ignore[return-value]

    monkeypatch.setattr(MicroRun, "advance", crowded)
    worker = Worker(demo.path, "cpu")
    kept.get("an earlier trial")
    assert numbers(advanced(worker, assignment(PIXEL))) == numbers(fresh)
    # Where there was nothing to let go, it is the trial that is too large.
    monkeypatch.setattr(MicroRun, "advance", lambda run, steps: full_device())
    assert advanced(worker, assignment(PIXEL)).device_full


def test_a_row_says_how_many_trials_could_share_the_gpu(demo: PatchStore) -> None:
    assert advanced(Worker(demo.path, "cpu", per_device=3), assignment(PIXEL)).per_device is None
    # A GPU that is not there: the trial fails, and says the same.
    assert Worker(demo.path, "cuda", per_device=3).per_device == 3


@pytest.mark.slow
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
