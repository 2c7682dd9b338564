"""A worker that is asked to measure a network."""

import threading
from dataclasses import replace

import pytest
import torch

from enhance.conditions import Conditions
from enhance.config import Scalar, from_flat
from enhance.data import PatchStore
from enhance.microrun import MicroRun
from sweeps.engine.environment import THREADS
from sweeps.engine.protocol import Assignment, Measured, Measurement, Progress
from sweeps.engine.workers.worker import Worker
from tests.patience import PATIENCE_S
from tests.sweeps.engine.workers.small_trials import PIXEL


def measurement(**net: Scalar) -> Measurement:
    conditions = Conditions(width_px=32, height_px=24, min_rounds=3, max_s=0.01)
    return Measurement(network="n", config={**PIXEL, **net}, conditions=conditions)


@pytest.mark.slow
def test_a_measurement_is_answered_with_a_cost_and_leaves_no_trace_in_the_next_trial(demo: PatchStore) -> None:
    alone, after = Worker(demo.path, "cpu"), Worker(demo.path, "cpu", timeout_s=PATIENCE_S)
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


@pytest.mark.slow
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
    monkeypatch.setattr("enhance.cost.measure", lambda net, conditions, beat: released.wait(PATIENCE_S))
    worker = Worker(demo.path, "cpu", timeout_s=0.2)
    worker.start(measurement())
    answer = worker.advance()
    released.set()
    assert isinstance(answer, Measured)
    assert answer.cost.failure.startswith("timeout: no progress for 0.2 s")
    assert worker.tainted


@pytest.mark.slow
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
