"""What only a GPU can show. `make test` runs it where torch sees one; elsewhere it is skipped, and says so.

A tolerance is stated where bits may differ: kernels that add in any order. The stand-ins for machines without a GPU are
in `training/test_recording.py` and `rules/test_device.py`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from enhance.data import PatchStore
from enhance.memory import peak_bytes
from enhance.microrun import MicroRun
from enhance.occupancy import Lane, largest
from enhance.rules import step
from enhance.training import pictures
from enhance.training.kernels import TF32_SINCE, exact_kernels, training_kernels
from enhance.training.recording import Machines
from sweeps.engine.workers.worker import Worker
from tests.enhance.training.test_recording import CASES, OTHER, config
from tests.golden.record_losses import make_store
from tests.sweeps.engine.workers.small_trials import PIXEL, advanced, assignment

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU on this machine"),
]

DEVICE = "cuda"
STEP_TOLERANCE = 1e-3
"""Relative, after seven steps: the backward passes of some kernels add in any order."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_store(tmp_path_factory.mktemp("cuda") / "noise.patches")


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Steps are recorded, as CUDA graphs, with kernels that give the same bits each time where there are such."""
    monkeypatch.setenv(step.SWITCH, "1")
    monkeypatch.setattr(step, "MACHINES", Machines(most=2))
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    return step.MACHINES


@pytest.fixture
def waits_are_errors() -> Iterator[None]:
    """torch raises where the host waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def reports(store: PatchStore, seed: int, **leaves: Any) -> list[float]:
    """What a trial reports after three and after seven steps."""
    micro = MicroRun(config(**leaves), seed, store, DEVICE)
    found = [micro.advance(3), micro.advance(4)]
    return [number for own in found for number in (own.loss_total, own.grad_norm, *own.losses.values())]


@pytest.mark.parametrize("case", CASES)
def test_recorded_trials_are_those_of_eager_steps(
    case: str, store: PatchStore, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A, B with another learning rate, C of another kind, A again."""
    trials = [(0, CASES[case]), (1, {**CASES[case], "optimizer__lr": 3e-3}), (0, OTHER), (0, CASES[case])]
    recorded = [reports(store, seed, **leaves) for seed, leaves in trials]
    monkeypatch.delenv(step.SWITCH)
    for (seed, leaves), found in zip(trials, recorded, strict=True):
        assert found == pytest.approx(reports(store, seed, **leaves), rel=STEP_TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_a_trial_on_a_gpu_says_that_it_was_recorded(case: str, store: PatchStore, machines: Machines) -> None:
    micro = MicroRun(config(**CASES[case]), 0, store, DEVICE)
    micro.advance(1)
    assert micro.captured == "recorded"


def test_recordings_do_not_let_memory_grow(store: PatchStore, machines: Machines) -> None:
    held = []
    for seed in range(4):
        reports(store, seed, **CASES["penalty"])
        torch.cuda.synchronize()
        held.append(torch.cuda.memory_allocated())
    assert held[3] <= 1.02 * held[1]


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_nothing(case: str, store: PatchStore, waits_are_errors: None) -> None:
    rule = MicroRun(config(**CASES[case]), 0, store, DEVICE).rule
    for number in range(4):
        # What is staged travels from pinned memory; only what the device computes must not be waited for.
        rule.stage(number)
        rule.compute()


def test_crops_are_equal_wherever_they_are_cut(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    for share in (pictures.RESIDENT_SHARE, 0.0):
        monkeypatch.setattr(pictures, "RESIDENT_SHARE", share)
        rule = MicroRun(config(loss__pixel=1.0), 0, store, DEVICE).rule
        rule.stage(0)
        batches.append(rule.feed.pairs("generator"))  # type: ignore[attr-defined]
    assert all(torch.equal(one, other) for one, other in zip(*batches, strict=True))
    assert batches[0][0].device.type == DEVICE


def test_training_data_are_on_the_device_once(store: PatchStore) -> None:
    def data_pointer() -> int:
        rule = MicroRun(config(loss__pixel=1.0), 0, store, DEVICE).rule
        rule.stage(0)
        return int(rule.feed._of("input", slice(None))._pictures.data_ptr())  # type: ignore[attr-defined]

    assert data_pointer() == data_pointer()


# --- precision ---------------------------------------------------------------------------------------------------

needs_tf32 = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < TF32_SINCE, reason="this GPU has no TF32"
)


@needs_tf32
def test_tf32_rounds_in_training_and_not_in_evaluation() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=random) for _ in range(2))
    exact = a.double() @ b.double()
    errors = {}
    for name, kernels in (("training", training_kernels(config(train__tf32=True).train)), ("exact", exact_kernels())):
        with kernels:
            product = (a.to(DEVICE) @ b.to(DEVICE)).double().cpu()
        errors[name] = float((product - exact).abs().max() / exact.abs().max())
    assert errors["exact"] < 1e-5 < errors["training"]


@needs_tf32
def test_evaluation_is_in_fp32_whatever_training_is_in(store: PatchStore) -> None:
    few = store.val_input[:2].copy()
    leaves = {"loss__pixel": 1.0, "train__dtype": "bf16"}
    on_gpu = MicroRun(config(**leaves, train__tf32=True, train__cudnn_benchmark=True), 0, store, DEVICE).enhance(few)
    on_cpu = MicroRun(config(**leaves), 0, store).enhance(few)
    assert on_gpu.dtype == torch.float32
    assert torch.allclose(on_gpu.cpu(), on_cpu, atol=1e-5)


@pytest.mark.parametrize(
    "leaves",
    [{"train__dtype": "bf16"}, {"train__cudnn_benchmark": True}, {"train__memory_format": "contiguous"}],
    ids=lambda leaves: next(iter(leaves)),
)
def test_a_trial_learns_the_same_with_other_kernels(store: PatchStore, leaves: dict[str, Any]) -> None:
    plain, other = (reports(store, 0, loss__pixel=1.0, **own) for own in ({}, leaves))
    assert other[0] == pytest.approx(plain[0], rel=2e-2 if "train__dtype" in leaves else STEP_TOLERANCE)


# --- memory ------------------------------------------------------------------------------------------------------


def test_a_trial_that_does_not_fit_fails_and_the_worker_goes_on(demo: PatchStore) -> None:
    worker = Worker(demo.path, DEVICE)
    huge = {**PIXEL, "net.channels": 1024, "net.blocks": 8, "train.batch_size": 4000, "train.crop_px": 96}
    said = advanced(worker, assignment(huge))
    assert (said.ending, said.device_full, said.per_device) == ("failed", True, 1)
    assert said.reason.startswith("out of memory on the device")
    assert advanced(worker, assignment(PIXEL)).report is not None


def test_what_a_trial_takes_of_the_device_is_measured(store: PatchStore) -> None:
    small, large = (config(loss__pixel=1.0, net__channels=channels) for channels in (4, 32))
    found = largest([small, large], store, DEVICE)
    assert found.config == large
    assert 0 < found.bytes < found.free_bytes <= torch.cuda.get_device_properties(0).total_memory
    assert peak_bytes(lambda: torch.empty(1 << 20, device=DEVICE), DEVICE) >= 4 << 20  # type: ignore[operator]
    lane = Lane(large, store, DEVICE)
    assert 0 < lane.busy() <= 1
    assert lane.steps_per_s() > 0
