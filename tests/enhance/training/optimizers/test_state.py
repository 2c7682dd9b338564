"""The state of an optimizer: saved and resumed, carried over, restarted."""

import copy

import pytest
import torch

from enhance.config.optimizers import (
    OPTIMIZER_CONFIGS,
    AdamConfig,
    AdamWConfig,
    MuonConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from enhance.training.optimizers import Optimizer, learning_rate_at
from tests.enhance.training.optimizers.small_training import STEPS, same, small_net, through_a_file, train, weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        AdamConfig(schedule="cosine", clip_norm=0.1),
        AdamWConfig(schedule="linear", warmup_share=0.4),
        RMSpropConfig(momentum=0.9),
        SGDConfig(),
        SGDConfig(momentum=0.0),
        MuonConfig(schedule="linear"),
    ],
    ids=lambda config: f"{config.name}-{config.schedule}",
)
@pytest.mark.parametrize("restarted", [False, True])
def test_stopped_and_resumed_is_straight_on(config: OptimizerConfig, restarted: bool) -> None:
    net = small_net()
    optimizer = Optimizer(net, config, STEPS)
    train(net, optimizer, 0, 5)
    if restarted:
        optimizer.restart(0.5)
    kept = through_a_file({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    other = small_net(seed=1)
    other.load_state_dict(kept["net"])
    resumed = Optimizer(other, config, STEPS)
    resumed.load_state_dict(kept["optimizer"])
    assert resumed.learning_rate == optimizer.learning_rate
    train(other, resumed, 5, 10)
    train(net, optimizer, 5, 10)
    assert same(weights(net), weights(other))


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_a_state_taken_over_is_not_shared(kind: type[OptimizerConfig]) -> None:
    net = small_net()
    optimizer = Optimizer(net, kind(), STEPS)
    train(net, optimizer, 0, 3)
    kept = optimizer.state_dict()
    before = copy.deepcopy(kept)
    other = small_net()
    resumed = Optimizer(other, kind(), STEPS)
    resumed.load_state_dict(kept)
    train(other, resumed, 3, 5)
    torch.testing.assert_close(kept, before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_a_restart_forgets_the_moments_and_keeps_the_place(kind: type[OptimizerConfig]) -> None:
    config = kind(schedule="linear")
    net = small_net()
    optimizer = Optimizer(net, config, STEPS)
    train(net, optimizer, 0, 4)
    optimizer.restart(0.5)
    optimizer.restart(0.5)
    assert optimizer.learning_rate == pytest.approx(0.25 * learning_rate_at(config, STEPS, 4))

    fresh = copy.deepcopy(net)
    share = 0.25 * (1 - 4 / STEPS)
    rates = {"lr": share * config.lr} | ({"adamw_lr": share * config.adamw_lr} if kind is MuonConfig else {})
    train(fresh, Optimizer(fresh, kind(**rates), STEPS), 4, 5)
    train(net, optimizer, 4, 5)
    torch.testing.assert_close(weights(net), weights(fresh), rtol=1e-6, atol=1e-9)
