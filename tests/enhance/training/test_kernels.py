"""Which kernels training and evaluation ask for. The switches are torch's own, and can be set without a GPU."""

import contextlib
from functools import partial
from typing import Any

import pytest
import torch

from enhance import microrun
from enhance.config import ConfigError
from enhance.config.training import TrainConfig
from enhance.data import PatchStore
from enhance.microrun import MicroRun
from enhance.training.kernels import exact_kernels, gpu_problems, training_kernels
from tests.enhance.small_configs import config_of

config = partial(
    config_of,
    {"net.channels": 4, "net.blocks": 1, "train.batch_size": 2, "train.steps": 4, "train.val_images": 2,
     "critic.family": "patch", "critic.channels": 4, "critic.layers": 2, "loss.pixel": 1.0},
)  # fmt: skip


def switches() -> tuple[bool, bool, bool]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )


def test_switches_hold_inside_and_are_set_back() -> None:
    before = switches()
    with training_kernels(TrainConfig(tf32=True, cudnn_benchmark=True)):
        assert switches() == (True, True, True)
        with exact_kernels():
            assert switches() == (False, False, False)
        assert switches() == (True, True, True)
    with training_kernels(TrainConfig()):
        assert switches() == (False, False, False)
    with contextlib.suppress(KeyError), training_kernels(TrainConfig(tf32=True)):
        raise KeyError
    assert switches() == before


def test_training_is_as_configured_and_evaluation_always_in_fp32(
    demo: PatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microrun, "device_conflicts", lambda config, device: [])  # as if this were a GPU
    seen: dict[str, set[Any]] = {"step": set(), "evaluation": set()}
    run = MicroRun(config(train__tf32=True, train__cudnn_benchmark=True), 0, demo)
    take, evaluate = run._stepper.take, run._run_network
    monkeypatch.setattr(run._stepper, "take", lambda: (seen["step"].add(switches()), take())[1])
    monkeypatch.setattr(
        run, "_run_network", lambda pictures: (seen["evaluation"].add(switches()), evaluate(pictures))[1]
    )
    run.advance(1)
    run.enhance(demo.val_input[:1].copy())
    assert seen == {"step": {(True, True, True)}, "evaluation": {(False, False, False)}}


def test_a_cpu_refuses_what_it_would_not_do(demo: PatchStore) -> None:
    with pytest.raises(ConfigError, match=r"train\.tf32=True needs a GPU"):
        MicroRun(config(train__tf32=True), 0, demo)


def test_an_old_gpu_refuses_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    (said,) = gpu_problems(TrainConfig(tf32=True), gpu)
    assert said == "train.tf32=True needs a GPU of compute capability 8.0 or newer, and this one has 7.5"
    assert gpu_problems(TrainConfig(), gpu) == []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert gpu_problems(TrainConfig(tf32=True), gpu) == []


GAME = {"loss__adversarial": 0.1, "adversarial__objective": "least_squares"}
CYCLE = {**GAME, "loss__pixel": 0.0, "loss__cycle": 1.0, "train__rule": "cycle", "cycle__pool_images": 2}


@pytest.mark.slow
@pytest.mark.parametrize("leaves", [{"augment__contrast": 0.2, "loss__content": 1.0}, GAME, CYCLE])
def test_memory_formats_change_where_numbers_lie_and_not_what_they_are(
    demo: PatchStore, leaves: dict[str, Any]
) -> None:
    losses = []
    for name, last in (("channels_last", True), ("contiguous", False)):
        run = MicroRun(config(**leaves, train__memory_format=name), 0, demo)
        losses.append(run.advance(2).loss_total)
        kernels = [own for own in run.rule.net.parameters() if own.ndim == 4 and min(own.shape[1:]) > 1]
        assert all(own.is_contiguous(memory_format=torch.channels_last) is last for own in kernels)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
