"""NAFNet and RSGUNet against layers written out from their description, and the counts of their authors' code."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.nets import build
from tests.enhance.nets.small import count, noise

Take = Callable[[], Tensor]


def taker(net: nn.Module) -> tuple[Take, list[Tensor]]:
    """The parameters in the order in which they are registered, moved away from their start."""
    left, generator = list(net.parameters()), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in left:
            parameter.normal_(0, 0.2, generator=generator)
    return lambda: left.pop(0), left


def conv(x: Tensor, take: Take, padding: int = 1) -> Tensor:
    return F.conv2d(x, take(), take(), padding=padding)


def naf_block(x: Tensor, take: Take) -> Tensor:
    scale1, scale2, *norms = (take() for _ in range(6))

    def normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        centered = x - x.mean(1, keepdim=True)
        variance = centered.square().mean(1, keepdim=True)
        return weight[:, None, None] * centered / (variance + 1e-6).sqrt() + bias[:, None, None]

    y = conv(normed(x, norms[0], norms[1]), take, 0)
    y = F.conv2d(y, take(), take(), padding=1, groups=y.shape[1])
    one, other = y.chunk(2, 1)
    y = one * other
    y = y * (y.mean((2, 3)) @ take().T + take())[..., None, None]
    x = x + scale1[:, None, None] * conv(y, take, 0)
    one, other = conv(normed(x, norms[2], norms[3]), take, 0).chunk(2, 1)
    return x + scale2[:, None, None] * conv(one * other, take, 0)


def test_nafnet_by_hand() -> None:
    net, x = build("nafnet", seed=0, channels=2, levels=1, blocks=1).double(), noise(2, 6, 8).double()
    take, left = taker(net)
    inner = conv(x, take)
    passed = naf_block(inner, take)
    deep = naf_block(F.conv2d(passed, take(), take(), stride=2), take)
    up = F.pixel_shuffle(F.conv2d(deep, take()), 2)
    expected = x + conv(naf_block(up + passed, take), take)
    assert not left
    torch.testing.assert_close(net(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("c, levels, blocks", [(16, 2, 1), (4, 3, 2)])
def test_nafnet_counts(c: int, levels: int, blocks: int) -> None:
    def block(w: int) -> int:
        convs = (2 * w * w + 2 * w) + (18 * w + 2 * w) + 2 * (w * w + w) + (2 * w * w + 2 * w) + (w * w + w)
        return convs + 2 * 2 * w + 2 * w

    widths = [c * 2**level for level in range(levels)]
    ends = (27 * c + c) + (27 * c + 3)
    resized = sum(4 * w * 2 * w + 2 * w + 2 * w * 4 * w for w in widths)
    inner = blocks * (2 * sum(map(block, widths)) + block(c * 2**levels))
    assert count(build("nafnet", seed=0, channels=c, levels=levels, blocks=blocks)) == ends + resized + inner


def test_nafnet_starts_near_the_input() -> None:
    x = noise(2, 16, 16)
    assert 0 < (build("nafnet", seed=1)(x) - x).square().mean().sqrt() < 0.1


def test_rsgunet_by_hand() -> None:
    net, x = build("rsgunet", seed=0, channels=2), noise(2, 32, 64)
    take, left = taker(net)

    def lrelu(x: Tensor) -> Tensor:
        return torch.maximum(x, 0.2 * x)

    def half(x: Tensor) -> Tensor:
        return lrelu(F.conv2d(F.pad(x, (0, 1, 0, 1)), take(), take(), stride=2))  # SAME: the odd pixel comes after

    def once(x: Tensor) -> Tensor:
        return lrelu(conv(x, take))

    first = half(x)
    down = [[take() for _ in range(4)] for _ in range(4)]
    halves = [[take() for _ in range(2)] for _ in range(4)]
    x, passed = first, []
    for (w1, b1, w2, b2), (w, b) in zip(down, halves, strict=True):
        x = lrelu(F.conv2d(lrelu(F.conv2d(x, w1, b1, padding=1)), w2, b2, padding=1))
        passed.append(x)
        x = lrelu(F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2))
    whole = F.relu(once(x).mean((2, 3)) @ take().T + take())[..., None, None]
    x = once(once(torch.cat((passed[3], whole.expand(-1, -1, *passed[3].shape[2:])), 1)))
    ups = [take() for _ in range(3)]
    for level, up in zip((2, 1, 0), ups, strict=True):
        x = once(once(torch.cat((F.conv_transpose2d(x, up, stride=2), passed[level]), 1)))
    full = F.conv_transpose2d(first * x, take(), stride=2)
    expected = 0.58 * conv(full, take).tanh() + 0.52
    assert not left
    torch.testing.assert_close(net(noise(2, 32, 64)), expected, rtol=1e-4, atol=1e-4)


def test_rsgunet_counts_are_the_winners() -> None:
    assert count(build("rsgunet", seed=0)) == 1_451_268


def test_rsgunet_starts_as_the_authors_set_it() -> None:
    for layer in build("rsgunet", seed=0).modules():
        if isinstance(layer, nn.ConvTranspose2d):
            assert layer.weight.abs().max() <= 0.04
        elif isinstance(layer, nn.Conv2d) and layer.weight.numel() > 10_000:
            outputs, inputs = layer.weight.shape[:2]
            assert layer.weight.std().item() == pytest.approx((2 / (9 * (inputs + outputs))) ** 0.5, rel=0.03)
