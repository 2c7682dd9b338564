"""How many trials share a GPU: with a made-up GPU, and with processes that train on the CPU in its place."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from enhance import occupancy
from enhance.config import Scalar, flatten, from_flat
from enhance.data import PatchStore
from sweeps.engine.space import Choice, Integer, Log, When
from sweeps.engine.workers import device_probe
from sweeps.engine.workers.device_probe import DeviceProbe
from sweeps.engine.workers.sharing import GIB, Needs, fewer, large_configurations, measured
from tests.sweeps.engine.pretended import small_sweep


@dataclass
class MadeUp:
    """A GPU of 80 GiB with these rates; None: out of memory."""

    gib: float
    busy: float
    rates: dict[int, float | None] = field(default_factory=dict)
    tried: list[int] = field(default_factory=list)

    def needs(self) -> Needs:
        return Needs(int(self.gib * GIB), 80 * GIB, self.busy)

    def steps_per_s(self, together: int) -> float | None:
        self.tried.append(together)
        return self.rates.get(together, 100.0 * together)


def test_the_number_that_measured_best_is_taken_and_no_higher_one_tried() -> None:
    gpu = MadeUp(1.0, 0.05, {1: 100, 2: 190, 3: 270, 4: 330, 6: 335, 8: 400})
    found = measured(gpu, most=16)
    assert (found.together, gpu.tried) == (4, [1, 2, 3, 4, 6])
    assert "4 at a time on a GPU; the largest needs 1 GiB of 80 and keeps the GPU busy for 5% of a step" in found.why
    assert found.why.endswith("1: 100, 2: 190, 3: 270, 4: 330")


@pytest.mark.parametrize(
    ("gpu", "most", "tried"),
    [
        (MadeUp(30.0, 0.05), 16, [1, 2]),  # two of 30 GiB fit into 72
        (MadeUp(79.0, 0.05), 16, [1]),
        (MadeUp(90.0, 0.05), 16, [1]),  # not even one: the trial is to fail for that reason, alone
        (MadeUp(1.0, 0.45), 16, [1, 2, 3]),  # three are more than enough to keep it busy
        (MadeUp(1.0, 1.0), 16, [1, 2]),
        (MadeUp(1.0, 0.05), 3, [1, 2, 3]),  # cores
    ],
)
def test_what_cannot_help_is_not_tried(gpu: MadeUp, most: int, tried: list[int]) -> None:
    assert measured(gpu, most).together == tried[-1]
    assert gpu.tried == tried


def test_memory_that_runs_out_ends_the_attempts_and_one_trial_is_always_allowed() -> None:
    assert measured(MadeUp(1.0, 0.05, {3: None}), 16).together == 2
    assert measured(MadeUp(1.0, 0.05, {1: None}), 16).together == 1


def test_few_attempts_lead_to_a_trial_alone() -> None:
    assert [fewer(together) for together in (8, 5, 3, 2, 1)] == [4, 2, 1, 1, 1]


def test_the_largest_configurations_have_every_number_at_its_upper_end() -> None:
    space = {
        "net.family": Choice("resnet", "shuffle"),
        "net.channels": Integer(4, 32),
        "net.factor": When("net.family", "shuffle", Choice(2, 4)),
        "loss.color": Log(0.1, 10.0),
        "train.batch_size": Choice(16, 2),
    }
    fixed: dict[str, Scalar] = {"loss.pixel": 1.0}
    found = [flatten(own) for own in large_configurations(small_sweep(space=space, fixed=fixed, enqueue={}))]
    assert [own["net.family"] for own in found] == ["resnet", "shuffle"]
    assert [(own["net.channels"], own["train.batch_size"], own.get("net.factor")) for own in found] == [
        (32, 16, None),
        (32, 16, 4),
    ]


CONFIG: dict[str, Scalar] = {
    "net.channels": 4, "net.blocks": 0, "loss.pixel": 1.0, "train.batch_size": 2, "train.val_images": 2,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.engine
def test_processes_train_side_by_side_and_end_with_the_probe(demo: PatchStore) -> None:
    larger = {**CONFIG, "net.channels": 32}
    with DeviceProbe([CONFIG, larger], demo.path, "cpu") as probe:
        needs = probe.needs()
        assert probe._largest["net.channels"] == 32
        assert 0 < needs.bytes < needs.free_bytes
        assert needs.busy == 1.0
        rates = [probe.steps_per_s(together) for together in (1, 2)]
        assert all(rate is not None and rate > 0 for rate in rates)
        processes = [process for process, _ in probe._lanes]
        assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


class Pipe:
    """Both ends of a pipe, for a process's work that is done in this one. Its words are followed by the end."""

    def __init__(self, *words: str) -> None:
        self.words, self.said = list(words), list[Any]()

    def send(self, message: Any) -> None:
        self.said.append(message)

    def recv(self) -> Any:
        if not self.words:
            raise EOFError
        return self.words.pop(0)


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_of_the_probe_is_said(demo: PatchStore) -> None:
    pipe = Pipe()
    device_probe._survey(pipe, [{**CONFIG, "train.crop_px": 128}], demo.path, "cpu")  # type: ignore[arg-type]
    ((kind, said),) = pipe.said
    assert kind == "failed"
    assert "train.crop_px=128 is larger than the pictures of demo" in said


def test_a_lane_without_memory_says_so(demo: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(occupancy, "Lane", full)
    pipe = Pipe("ready?")
    device_probe._lane(pipe, CONFIG, demo.path, "cpu")  # type: ignore[arg-type]
    assert pipe.said == [("found", None)]


@pytest.mark.slow
def test_a_configuration_that_does_not_fit_alone_takes_everything(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(occupancy, "MicroRun", full)
    found = occupancy.largest([from_flat(CONFIG)], demo, "cpu")
    assert found.bytes == found.free_bytes > 0
