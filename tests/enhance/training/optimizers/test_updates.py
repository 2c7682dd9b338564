"""Every optimizer: bit-equal to torch's, every leaf used, bad values refused."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from enhance.config.optimizers import (
    OPTIMIZER_CONFIGS,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from enhance.training.optimizers import Optimizer
from tests.enhance.training.optimizers.small_training import STEPS, loss_of, same, small_net, train, trained, weights


@pytest.mark.parametrize(
    ("config", "theirs"),
    [
        (AdamConfig(), lambda p: torch.optim.Adam(p, lr=5e-4, betas=(0.9, 0.999), fused=True)),
        (AdamConfig(lr=2e-4, beta1=0.5), lambda p: torch.optim.Adam(p, lr=2e-4, betas=(0.5, 0.999), fused=True)),
        (
            AdamWConfig(weight_decay=0.2, beta2=0.9),
            lambda p: torch.optim.AdamW(p, lr=5e-4, betas=(0.9, 0.9), weight_decay=0.2, fused=True),
        ),
        (
            RMSpropConfig(alpha=0.9, momentum=0.5),
            lambda p: torch.optim.RMSprop(p, lr=5e-4, alpha=0.9, momentum=0.5, eps=1e-8),
        ),
        (
            SGDConfig(nesterov=True, weight_decay=0.1),
            lambda p: torch.optim.SGD(p, lr=5e-4, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
    ],
)
def test_without_a_schedule_bits_are_those_of_torch(
    config: OptimizerConfig, theirs: Callable[[Any], torch.optim.Optimizer]
) -> None:
    net = small_net()
    plain = theirs(net.parameters())
    for step in range(6):
        plain.zero_grad()
        loss_of(net, step).backward()
        plain.step()
    assert same(trained(config), weights(net))


LEAVES: dict[str, Any] = {
    "lr": 1e-3,
    "schedule": "cosine",
    "warmup_share": 0.1,
    "hold_share": 0.6,
    "clip_norm": 0.05,
    "beta1": 0.5,
    "beta2": 0.9,
    "weight_decay": 0.3,
    "alpha": 0.5,
    "momentum": 0.3,
    "nesterov": True,
    "adamw_lr": 1e-3,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "leaf"),
    [(n, f.name) for n, kind in OPTIMIZER_CONFIGS.items() for f in dataclasses.fields(kind) if f.name != "name"],
)
def test_no_leaf_is_ignored(name: str, leaf: str) -> None:
    base = OPTIMIZER_CONFIGS[name](schedule="linear", warmup_share=0.3, hold_share=0.4)
    changed = dataclasses.replace(base, **{leaf: LEAVES[leaf]})
    assert not same(trained(base), trained(changed))


@pytest.mark.slow
@pytest.mark.parametrize("config", [kind(lr=3e-3) for kind in OPTIMIZER_CONFIGS.values()], ids=OPTIMIZER_CONFIGS)
def test_every_optimizer_lowers_the_loss_and_repeats_itself(config: OptimizerConfig) -> None:
    kept = torch.get_rng_state()
    runs = []
    for _ in range(2):
        net = small_net()
        runs.append(train(net, Optimizer(net, config, 40), 0, 40))
    assert runs[0] == runs[1]
    assert sum(runs[0][-5:]) < 0.8 * sum(runs[0][:5])
    assert torch.equal(kept, torch.get_rng_state())


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match=r"[Nn]esterov"):
        Optimizer(small_net(), SGDConfig(momentum=0.0, nesterov=True), STEPS)


def test_budgets_and_factors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        Optimizer(small_net(), AdamConfig(), 0)
    with pytest.raises(ValueError, match=r"lr_factor=0\.0 must be above 0"):
        Optimizer(small_net(), AdamConfig(), 1).restart(0.0)


def test_a_step_without_gradients_is_refused() -> None:
    net = small_net()
    optimizer = Optimizer(net, AdamConfig(), STEPS)
    train(net, optimizer, 0, 1)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(RuntimeError, match="backward must come before step"):
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_parameters_may_get_their_first_gradient_late(kind: type[OptimizerConfig]) -> None:
    net = small_net()
    late = dict(net.named_parameters())["tail.0.weight"].requires_grad_(False)
    start = late.clone()
    optimizer = Optimizer(net, kind(), STEPS)
    train(net, optimizer, 0, 2)
    assert torch.equal(late, start)
    late.requires_grad_(True)
    train(net, optimizer, 2, 3)
    assert not torch.equal(late, start)


def test_a_parameter_of_two_modules_is_updated_once() -> None:
    alone, shared = small_net(), small_net()
    train(alone, Optimizer(alone, SGDConfig(), STEPS), 0, 3)
    train(shared, Optimizer([shared, shared], SGDConfig(), STEPS), 0, 3)
    assert same(weights(alone), weights(shared))
