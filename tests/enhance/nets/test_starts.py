"""How networks start: the authors' distributions, and outputs near the input where there is a skip."""

import math

import pytest
import torch
from torch import nn

from enhance.nets import build
from tests.enhance.nets.small import noise


def test_resnet_starts_as_the_authors_set_it() -> None:
    net = build("resnet", seed=0, activation="prelu")
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.abs().max() <= 0.02
            if module.weight.numel() > 10_000:
                # a normal of 0.01 cut at two deviations has a deviation of 0.0088
                assert module.weight.std().item() == pytest.approx(0.0088, rel=0.02)
            assert module.bias.eq(0.01).all()
        elif isinstance(module, nn.InstanceNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
        elif isinstance(module, nn.PReLU):
            assert module.weight.eq(0).all()


@pytest.mark.parametrize("family", ["resnet", "strided"])
def test_he_start_keeps_the_size_of_activations(family: str) -> None:
    net = build(family, seed=0, init="he", channels=64)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
            assert layer.bias.eq(0).all()


def test_cycle_resnet_starts_as_the_authors_set_it() -> None:
    net = build("cycle_resnet", seed=0)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
        elif isinstance(layer, nn.InstanceNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.35)


@pytest.mark.parametrize("family", ["shuffle", "separable"])
@pytest.mark.parametrize("init", ["he", "dped"])
def test_residual_networks_start_near_the_input(family: str, init: str) -> None:
    x = noise(2, 24, 24)
    first, second = (build(family, seed=seed, init=init)(x) for seed in (0, 1))
    assert (first - x).square().mean().sqrt() < 0.05
    assert not torch.equal(first, x)
    assert not torch.equal(first, second)
