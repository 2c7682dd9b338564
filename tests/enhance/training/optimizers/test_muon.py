"""Muon against a reference in singular values, and which parameters it leaves to AdamW."""

import math

import pytest
import torch
from torch import Tensor, nn

from enhance.config.optimizers import MuonConfig
from enhance.nets.layers import conv
from enhance.training.optimizers import Optimizer
from tests.enhance.training.optimizers.small_training import STEPS, same, update, weights


def orthogonalised(matrix: Tensor) -> Tensor:
    """Five quintic Newton-Schulz steps on the singular values (Jordan et al. 2024), which is what they act on."""
    u, values, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return u @ torch.diag(values) @ v


class Layers(nn.Module):
    """First, plain, wide-to-narrow 1x1, transposed and last; only the three between are Muon's."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = conv(3, 4, 3, generator)
        self.plain = conv(4, 6, 3, generator)
        self.tall = conv(6, 24, 1, generator)
        self.transposed = nn.utils.skip_init(nn.ConvTranspose2d, 24, 5, 2)
        self.last = conv(5, 3, 3, generator)
        for parameter in self.transposed.parameters():
            nn.init.normal_(parameter, generator=generator)


HIDDEN = ("plain", "tall", "transposed")


def give_gradients(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.grad = torch.empty_like(parameter).copy_(drawn)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_muon_orthogonalises_the_momentum_of_hidden_kernels(memory_format: torch.memory_format) -> None:
    net = Layers().to(memory_format=memory_format)
    config = MuonConfig(lr=0.1, momentum=0.8, weight_decay=0.5)
    optimizer = Optimizer(net, config, STEPS)
    momenta = dict.fromkeys(HIDDEN, 0.0)
    for step in range(3):
        give_gradients(net, step)
        before = {name: getattr(net, name).weight.detach().clone() for name in HIDDEN}
        update(optimizer)
        for name in HIDDEN:
            kernel = getattr(net, name).weight
            rows = len(kernel)
            gradient = kernel.grad.reshape(rows, -1)
            momenta[name] = 0.8 * momenta[name] + 0.2 * gradient
            change = orthogonalised(0.2 * gradient + 0.8 * momenta[name])
            change = change * math.sqrt(max(1, rows / gradient.shape[1]))
            expected = (1 - 0.1 * 0.5) * before[name].reshape(rows, -1) - 0.1 * change.float()
            # bfloat16 has 8 bits: a few parts in a hundred of an update of size lr
            torch.testing.assert_close(kernel.detach().reshape(rows, -1), expected, rtol=0, atol=0.1 * 0.03)


def test_what_muon_does_to_a_kernel_has_singular_values_around_one() -> None:
    net = Layers()
    give_gradients(net, 0)
    before = net.plain.weight.detach().clone()
    update(Optimizer(net, MuonConfig(lr=0.1), STEPS))
    values = torch.linalg.svdvals((before - net.plain.weight.detach()).flatten(1) / 0.1)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_muon_leaves_everything_else_to_adamw() -> None:
    net, twin = Layers(), Layers()
    optimizer = Optimizer(net, MuonConfig(lr=0.1, adamw_lr=0.01, weight_decay=0.1), STEPS)
    rest = [n for n, _ in twin.named_parameters() if n not in {f"{name}.weight" for name in HIDDEN}]
    assert "first.weight" in rest
    assert "plain.bias" in rest
    adamw = torch.optim.AdamW([dict(twin.named_parameters())[n] for n in rest], lr=0.01, weight_decay=0.1, fused=True)
    for step in range(3):
        for module in (net, twin):
            give_gradients(module, step)
        update(optimizer)
        adamw.step()
    assert all(torch.equal(net.get_parameter(n), twin.get_parameter(n)) for n in rest)
    assert not any(torch.equal(net.get_parameter(f"{n}.weight"), twin.get_parameter(f"{n}.weight")) for n in HIDDEN)


def test_muon_follows_a_kernel_to_new_memory() -> None:
    net, moved = Layers(), Layers()
    optimizers = [Optimizer(module, MuonConfig(lr=0.1), STEPS) for module in (net, moved)]
    for parameter in moved.parameters():
        parameter.data = parameter.data.clone()
    for module, optimizer in zip((net, moved), optimizers, strict=True):
        give_gradients(module, 0)
        update(optimizer)
    assert same(weights(net), weights(moved))


def test_muon_needs_a_hidden_layer() -> None:
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(conv(3, 4, 3, generator), conv(4, 3, 3, generator))
    with pytest.raises(
        ValueError, match=r"between the first and the last, but Sequential has 2 in all; choose from adam"
    ):
        Optimizer(net, MuonConfig(), STEPS)
