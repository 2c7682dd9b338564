"""Hanging calls are abandoned, and the message says where they hang."""

import itertools
import threading

import pytest
import torch

from enhance.config import Scalar
from enhance.data import PatchStore
from enhance.microrun import MicroRun
from enhance.report import Report
from sweeps.engine.environment import THREADS
from sweeps.engine.workers.watchdog import LOOKS, Hung, run_watched
from sweeps.engine.workers.worker import Worker
from tests.patience import PATIENCE_S
from tests.sweeps.engine.workers.small_trials import PIXEL, advanced, assignment, every_kind, numbers


@pytest.mark.slow
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
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch, release: threading.Event, hangs: threading.Event
) -> None:
    worker = Worker(demo.path, "cpu", timeout_s=600)
    assert advanced(worker, assignment(PIXEL)).ending == ""
    assert worker._run is not None
    stage = worker._run.rule.stage

    def hanging(step: int) -> None:
        if step == 3:
            hangs.set()
            release.wait()
        stage(step)

    monkeypatch.setattr(worker._run.rule, "stage", hanging)
    said = worker.advance()
    assert said.ending == "failed"
    assert said.reason.startswith("timeout: no progress for 600 s (step 3) (at ")
    assert said.parameters is not None
    assert worker.tainted
    with pytest.raises(RuntimeError, match="must be replaced"):
        worker.start(assignment(PIXEL))


def test_building_may_hang_too(demo: PatchStore, monkeypatch: pytest.MonkeyPatch, release: threading.Event) -> None:
    monkeypatch.setattr("sweeps.engine.workers.worker.from_flat", lambda values: release.wait())
    said = advanced(Worker(demo.path, "cpu", timeout_s=0.2), assignment(PIXEL))
    assert said.reason.startswith("timeout: no progress for 0.2 s (step 0)")
    assert said.parameters is None


def test_a_timeout_must_be_positive(demo: PatchStore) -> None:
    with pytest.raises(ValueError, match=r"timeout_s=0 must be > 0, or None"):
        Worker(demo.path, "cpu", timeout_s=0)


def test_work_that_shows_signs_of_life_may_take_longer_than_the_patience() -> None:
    """Three times as long, a sign in just less than the patience."""
    looks, over = itertools.count(), threading.Event()

    def beats() -> int:
        look = next(looks)
        if look == 3 * LOOKS:
            over.set()
        return look // LOOKS

    assert run_watched(lambda: over.wait(PATIENCE_S), beats, patience_s=0.2)


def test_the_watchdog_says_where_the_work_stands(release: threading.Event) -> None:
    begun = threading.Event()

    def work() -> None:
        begun.set()
        release.wait()

    looks = itertools.count()
    with pytest.raises(Hung, match=r"^no progress for 0.1 s \(at (test_watchdog|threading).py:\d+\)$"):
        run_watched(work, lambda: begun.is_set() or next(looks), patience_s=0.1)


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(SystemExit):
        run_watched(lambda: exec("raise SystemExit(3)"), lambda: 0, patience_s=60)
