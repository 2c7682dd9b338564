"""Recorded steps, with a stand-in for a CUDA graph: a tape of the operations that torch runs on the CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.optim import adam, rmsprop
from torch.utils import _foreach_utils
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from enhance.data import PatchStore
from enhance.microrun import MicroRun
from enhance.rules import step
from enhance.rules.step import kind_of
from enhance.training import optimizers, staging
from enhance.training.recording import Machines
from tests.enhance.small_configs import config_of
from tests.golden.record_losses import make_store

SMALL = {
    "net.channels": 4, "net.blocks": 1, "train.batch_size": 2, "train.crop_px": 32, "train.steps": 12,
    "critic.family": "patch", "critic.channels": 4, "critic.layers": 2, "train.val_images": 1, "guard.collapse": 0.0,
}  # fmt: skip
config = partial(config_of, SMALL)
GAME = {"loss__pixel": 1.0, "loss__adversarial": 0.1, "adversarial__pretrain_steps": 2, "net__norm": "batch"}
CASES: dict[str, dict[str, object]] = {
    "pixel": {"loss__pixel": 1.0},
    "average, colors, RMSprop": {
        "loss__pixel": 1.0, "train__ema": 0.9, "augment__contrast": 0.3, "optimizer__name": "rmsprop",
        "optimizer__schedule": "cosine", "optimizer__clip_norm": 0.1,
    },
    "penalty": {**GAME, "adversarial__objective": "wasserstein_gp", "adversarial__critic_steps": 2},
    "coins": {**GAME, "adversarial__shown": "coin"},
    "dropout": {"net__family": "unet", "net__levels": 4, "net__dropout": 0.5, "loss__pixel": 1.0},
    "pools": {
        "train__rule": "cycle", "loss__adversarial": 1.0, "loss__cycle": 10.0, "cycle__pool_images": 3,
        "adversarial__objective": "least_squares",
    },
}  # fmt: skip
OTHER = {"net__family": "shuffle", "loss__pixel": 1.0}


class Tape(TorchDispatchMode):
    """Notes every operation with its arguments and results, and runs them again on the same tensors."""

    recorded = 0

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def warm_up(self, work: Callable[[], Any]) -> None:
        work()

    def record(self, work: Callable[[], Any], generators: list[torch.Generator]) -> Any:
        Tape.recorded += 1
        with self:
            return work()

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, before in self.calls:
            # What is a view, or was changed in place, lies at its address already.
            fresh = [returned.alias_info is None for returned in func._schema.returns]
            after = func(*args, **kwargs)
            if all(fresh):
                for old, new in zip(tree.tree_leaves(before), tree.tree_leaves(after), strict=True):
                    if isinstance(old, torch.Tensor):
                        old.copy_(new)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return make_store(tmp_path_factory.mktemp("recording") / "noise.patches")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Steps on the CPU are recorded, on tapes, as those on a GPU are."""
    torch.set_num_threads(1)
    known = [*_foreach_utils._get_fused_kernels_supported_devices(), "cpu"]
    for module in (adam, rmsprop):
        monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda **_: known)
    for module in (optimizers, staging, step):
        monkeypatch.setattr(module, "recordable", lambda device: True)
    monkeypatch.setenv(step.SWITCH, "1")
    monkeypatch.setattr(step, "GraphRecorder", Tape)
    monkeypatch.setattr(step, "MACHINES", Machines(most=2))
    monkeypatch.setattr(Tape, "recorded", 0)
    return step.MACHINES


def trained(store: PatchStore, seed: int, eager: bool = False, **leaves: object) -> list[object]:
    micro = MicroRun(config(**leaves), seed, store)
    if eager:
        micro._stepper.take = micro._training.compute
    reports = [micro.advance(3), micro.advance(4)]
    return [(own.metrics, own.losses, own.signals, own.loss_total, own.grad_norm) for own in reports]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_trials_that_share_a_recording_are_those_of_a_fresh_process(
    case: str, store: PatchStore, recorded: Machines
) -> None:
    """A, B with other numbers, C of another kind, A again: bit for bit what each is without recordings."""
    first = CASES[case]
    second = {**first, "optimizer__lr": 3e-3, "loss__pixel": 2.0 if "loss__pixel" in first else 0.0}
    trials = [(0, first), (1, second), (0, OTHER), (0, first)]
    alone = [trained(store, seed, eager=True, **leaves) for seed, leaves in trials]
    assert Tape.recorded == 0
    assert [trained(store, seed, **leaves) for seed, leaves in trials] == alone
    assert Tape.recorded == 2  # one for each kind


@pytest.mark.slow
def test_phases_are_recorded_one_by_one_and_shared(store: PatchStore, recorded: Machines) -> None:
    phased = {
        "train__rule": "phased", "loss__pixel": 1.0, "loss__adversarial": 0.1, "phases__adversarial_at": 0.4,
        "phases__lr_factor": 0.5,
    }  # fmt: skip
    alone = [trained(store, seed, eager=True, **phased) for seed in (0, 1)]
    assert [trained(store, seed, **phased) for seed in (0, 1)] == alone
    assert Tape.recorded == 2


@pytest.mark.slow
def test_a_resumed_trial_moves_in_with_its_state(store: PatchStore, recorded: Machines) -> None:
    leaves = {**CASES["penalty"], "train__ema": 0.9}
    whole = trained(store, 0, eager=True, **leaves)
    before = MicroRun(config(**leaves), 0, store)
    before.advance(3)
    after = MicroRun(config(**leaves), 0, store)
    after.load_state_dict(before.state_dict())
    trained(store, 5, **leaves)  # another trial on the same memory in between
    report = after.advance(4)
    assert (report.metrics, report.loss_total) == (whole[1][0], whole[1][3])


def test_two_trials_do_not_take_turns_on_one_memory(store: PatchStore, recorded: Machines) -> None:
    first, second = (MicroRun(config(loss__pixel=1.0), seed, store) for seed in (0, 1))
    first.advance(1)
    second.advance(1)
    with pytest.raises(RuntimeError, match="one after the other"):
        first.advance(1)


def test_a_machine_that_was_not_used_for_long_is_forgotten() -> None:
    machines = Machines(most=2)
    first, second = machines.get("a"), machines.get("b")
    assert machines.get("a") is first
    machines.get("c")
    assert machines.get("a") is first
    assert machines.get("b") is not second


def test_the_kind_of_a_trial_is_what_decides_its_operations() -> None:
    base = config(loss__pixel=1.0)
    for same in ({"loss__pixel": 2.0}, {"loss__pixel": 1.0, "optimizer__lr": 1e-3, "train__steps": 99}):
        assert kind_of(config(**same)) == kind_of(base)
    for other in ({"loss__color": 1.0}, {"net__channels": 8}, {"optimizer__beta1": 0.5}, {"train__ema": 0.9}):
        assert kind_of(config(**{"loss__pixel": 1.0, **other})) != kind_of(base)


def test_what_cannot_be_recorded_runs_step_by_step(store: PatchStore, recorded: Machines) -> None:
    for leaves in ({"optimizer__name": "sgd"}, {"net__family": "curve", "net__base": "resnet"}):
        trained(store, 0, loss__pixel=1.0, **leaves)
    assert Tape.recorded == 0


def test_a_trial_says_whether_its_steps_were_recorded_or_why_not(store: PatchStore, recorded: Machines) -> None:
    said = {
        name: begun(store, **leaves).captured
        for name, leaves in {
            "adam": {"loss__pixel": 1.0},
            "sgd": {"loss__pixel": 1.0, "optimizer__name": "sgd"},
            "curve": {"loss__pixel": 1.0, "net__family": "curve", "net__base": "resnet"},
        }.items()
    }
    assert said == {
        "adam": "recorded",
        "sgd": "eager: sgd takes its learning rate as a number",
        "curve": "eager: kornia copies the matrices of a curve's colors from the host at every call",
    }


def test_steps_are_eager_on_a_cpu_and_where_nobody_asked(
    store: PatchStore, recorded: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(step.SWITCH)
    assert begun(store, loss__pixel=1.0).captured == "eager: TESTSTRIP_RECORD_STEPS is not 1"
    monkeypatch.undo()
    assert begun(store, loss__pixel=1.0).captured == "eager: on a CPU"


class Refusing(Tape):
    """A tape on which nothing can be recorded: it breaks in the middle, as a capture does."""

    error = RuntimeError("operation not permitted when stream is capturing\nCompile with TORCH_USE_CUDA_DSA")

    def record(self, work: Callable[[], Any], generators: list[torch.Generator]) -> Any:
        super().record(work, generators)
        raise self.error


@pytest.mark.slow
def test_a_step_whose_recording_fails_runs_eagerly_and_says_so(
    store: PatchStore, recorded: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = {**CASES["penalty"], "train__ema": 0.9}
    alone = [trained(store, seed, eager=True, **leaves) for seed in (0, 1)]
    monkeypatch.setattr(step, "GraphRecorder", Refusing)
    assert [trained(store, seed, **leaves) for seed in (0, 1)] == alone
    assert Tape.recorded == 1  # the second trial of the kind does not try again
    micro = begun(store, **leaves)
    assert micro.captured == "eager: recording failed: operation not permitted when stream is capturing"


def test_a_recording_without_memory_fails_as_a_step_would(
    store: PatchStore, recorded: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "GraphRecorder", Refusing)
    monkeypatch.setattr(Refusing, "error", torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(torch.OutOfMemoryError):
        begun(store, loss__pixel=1.0)


def begun(store: PatchStore, **leaves: object) -> MicroRun:
    micro = MicroRun(config(**leaves), 0, store)
    micro.advance(1)
    return micro
