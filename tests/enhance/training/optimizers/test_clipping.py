"""Gradient clipping: one norm over all modules, and what is reported without clipping."""

import math

import pytest
import torch
from torch import Tensor, nn

from enhance.config.optimizers import AdamConfig, SGDConfig
from enhance.training.optimizers import Optimizer
from tests.enhance.training.optimizers.small_training import STEPS, loss_of, same, small_net, update


def backward_of_two() -> tuple[list[nn.Module], list[Tensor], float]:
    """Two networks with gradients, a copy of these, and their total norm."""
    nets = [small_net(0), small_net(1)]
    for net in nets:
        loss_of(net, 0).backward()
    grads = [p.grad.clone() for net in nets for p in net.parameters()]
    return nets, grads, math.sqrt(sum(float(g.double().square().sum()) for g in grads))


@pytest.mark.parametrize("share", [0.1, 0.99, 1.01, 50.0])
def test_gradients_are_scaled_to_the_total_norm_of_all_modules(share: float) -> None:
    nets, grads, norm = backward_of_two()
    optimizer = Optimizer(nets, SGDConfig(lr=1.0, momentum=0.0, clip_norm=share * norm), STEPS)
    before = [p.detach().clone() for net in nets for p in net.parameters()]
    returned = update(optimizer)
    assert returned.shape == ()
    assert not returned.requires_grad
    assert float(returned) == pytest.approx(norm, rel=1e-5)
    after = [p.detach() for net in nets for p in net.parameters()]
    for grad, old, new in zip(grads, before, after, strict=True):
        torch.testing.assert_close(old - new, min(share, 1.0) * grad, rtol=1e-4, atol=1e-6)


def test_without_clipping_the_norm_is_told_and_nothing_scaled() -> None:
    nets, grads, norm = backward_of_two()
    assert float(update(Optimizer(nets, AdamConfig(), STEPS))) == pytest.approx(norm, rel=1e-5)
    assert same(grads, [p.grad for net in nets for p in net.parameters()])
