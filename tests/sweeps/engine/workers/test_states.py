"""A trial paused in one worker resumes in another, bit for bit."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from enhance.config import Scalar
from enhance.data import PatchStore
from sweeps.engine.workers.worker import Worker
from tests.sweeps.engine.workers.small_trials import KINDS, PIXEL, advanced, assignment, every_kind, numbers


def unpacked(state: bytes) -> Any:
    """What is in a state, read without executing anything."""
    return torch.load(io.BytesIO(state), weights_only=True)


@every_kind
@pytest.mark.parametrize("timeout_s", [None, 600.0])
@pytest.mark.slow
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


@pytest.mark.slow
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
    monkeypatch.setattr("sweeps.engine.workers.worker.STATE_LIMIT_BYTES", 1000)
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
