"""A small network, a regression task for it, and comparisons of the results."""

import io
from typing import Any

import torch
from torch import Tensor, nn

from enhance.config.optimizers import OptimizerConfig
from enhance.nets import build
from enhance.training.optimizers import Optimizer

STEPS = 12


def small_net(seed: int = 0) -> nn.Module:
    """A generator with every kind of parameter, channels last as in training."""
    net = build("resnet", seed=seed, channels=4, blocks=1, norm="batch", activation="prelu", init="he")
    return net.to(memory_format=torch.channels_last)


def loss_of(net: nn.Module, step: int) -> Tensor:
    """A regression whose batch is a function of the step."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
    return (net(images) - 0.8 * images).square().mean()


def update(optimizer: Optimizer) -> Tensor:
    """Stage an update and take it. Returns the norm of the gradient."""
    optimizer.stage()
    return optimizer.step()


def train(net: nn.Module, optimizer: Optimizer, start: int, stop: int) -> list[float]:
    losses = []
    for step in range(start, stop):
        optimizer.zero_grad()
        loss = loss_of(net, step)
        loss.backward()
        update(optimizer)
        losses.append(float(loss.detach()))
    return losses


def weights(net: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in net.state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def trained(config: OptimizerConfig, steps: int = 6) -> list[Tensor]:
    net = small_net()
    train(net, Optimizer(net, config, STEPS), 0, steps)
    return weights(net)
