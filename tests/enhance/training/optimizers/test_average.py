"""The moving average of weights against torch's, its warm-up, and its state."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from enhance.config.optimizers import AdamConfig
from enhance.training.optimizers import Average, Optimizer
from tests.enhance.training.optimizers.small_training import STEPS, same, small_net, through_a_file, train, weights


def advance(average: Average[nn.Module], net: nn.Module) -> None:
    """Stage an update and take it."""
    average.stage()
    average.update(net)


def test_the_average_is_that_of_torch() -> None:
    net = small_net()
    average = Average(net, 0.7)

    def warmed(averages: list[torch.Tensor], presents: list[torch.Tensor], updates: torch.Tensor) -> None:
        decay = min(0.7, (1 + int(updates)) / (10 + int(updates)))
        get_ema_multi_avg_fn(decay)(averages, presents, updates)  # type: ignore[no-untyped-call]

    theirs = AveragedModel(net, multi_avg_fn=warmed, use_buffers=True)
    optimizer = Optimizer(net, AdamConfig(lr=1e-2), STEPS)
    for step in range(5):
        train(net, optimizer, step, step + 1)
        advance(average, net)
        theirs.update_parameters(net)
    ours, present = average.net.state_dict(), net.state_dict()
    buffers = {name for name, _ in net.named_buffers()}
    assert any(name.endswith("running_var") for name in buffers)
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(ours[name], value), name
            assert not torch.equal(ours[name], present[name]), name
        else:
            assert torch.equal(ours[name], present[name]), name


def test_the_first_average_is_the_network_then_and_later_ones_are_weighted() -> None:
    net = nn.BatchNorm2d(1)
    average = Average(net, 0.2)
    for value in (8.0, 4.0, 0.0):
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(-value)
        advance(average, net)
    first, second = 2 / 11, 0.2  # the warm-up's and then the configured decay
    expected = second * (first * 8 + (1 - first) * 4)
    assert float(average.net.weight) == pytest.approx(expected)
    assert float(average.net.running_mean) == pytest.approx(-expected)


def test_the_averaged_network_is_a_copy_for_evaluation() -> None:
    net = small_net()
    average = Average(net, 0.9)
    assert net.training
    assert not any(module.training for module in average.net.modules())
    assert not any(parameter.requires_grad for parameter in average.net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    start = weights(average.net)
    train(net, Optimizer(net, AdamConfig(), STEPS), 0, 1)
    assert same(weights(average.net), start)


def test_an_average_is_resumed_to_the_bit() -> None:
    net = small_net()
    optimizer = Optimizer(net, AdamConfig(), STEPS)
    straight = Average(net, 0.9)
    for step in range(3):
        train(net, optimizer, step, step + 1)
        advance(straight, net)
    resumed = Average(small_net(seed=1), 0.9)
    resumed.load_state_dict(through_a_file(straight.state_dict()))
    for step in range(3, 6):
        train(net, optimizer, step, step + 1)
        advance(straight, net)
        advance(resumed, net)
    assert same(weights(straight.net), weights(resumed.net))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_averages_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"decay={decay} must be at least 0 and below 1"):
        Average(small_net(), decay)
