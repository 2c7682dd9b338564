"""Forward passes of every family against layers written out from their description."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import NetConfig
from enhance.nets import FAMILIES, build_net
from tests.enhance.nets.small import images, variants


class Hand:
    """Layers written out from their description; they take a network's parameters in the order in which they are used.

    Zero padding is given in pixels (before, after); None is TensorFlow's SAME, from its definition.
    """

    def __init__(self, net: nn.Module, config: NetConfig) -> None:
        self.parameters, self.config = list(net.parameters()), config

    def vector(self) -> Tensor:
        return self.parameters.pop(0).view(1, -1, 1, 1)

    def conv(self, x: Tensor, stride: int = 1, padding: tuple[int, int] | None = None, bias: bool = True) -> Tensor:
        weight = self.parameters.pop(0)
        y = zero_padded_conv(x, weight, stride, padding)
        return y + self.vector() if bias else y

    def reflecting_conv(self, x: Tensor, bias: bool) -> Tensor:
        border = self.parameters[0].shape[-1] // 2
        return self.conv(reflected(reflected(x, border, 2), border, 3), padding=(0, 0), bias=bias)

    def transposed(self, x: Tensor, padding: tuple[int, int] | None = None, bias: bool = True) -> Tensor:
        """Of stride 2: by definition the gradient of a convolution with respect to its input."""
        weight = self.parameters.pop(0)
        height, width = x.shape[-2:]
        above = torch.zeros(len(x), weight.shape[1], 2 * height, 2 * width, dtype=x.dtype, requires_grad=True)
        (y,) = torch.autograd.grad(zero_padded_conv(above, weight, 2, padding), above, x)
        return y + self.vector() if bias else y

    def norm(self, x: Tensor) -> Tensor:
        if self.config.norm == "none":
            return x
        scale, shift = self.vector(), self.vector()
        dims = (2, 3) if self.config.norm == "instance" else (0, 2, 3)
        centred = x - x.mean(dims, keepdim=True)
        return scale * centred / (centred.square().mean(dims, keepdim=True) + 1e-3).sqrt() + shift

    def act(self, x: Tensor) -> Tensor:
        slope = self.vector() if getattr(self.config, "activation", "relu") == "prelu" else 0
        return x.clamp(min=0) + slope * x.clamp(max=0)

    def dped_block(self, x: Tensor) -> Tensor:
        return x + self.act(self.norm(self.conv(self.act(self.norm(self.conv(x))))))


def zero_padded_conv(x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int] | None) -> Tensor:
    sides = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((math.ceil(size / stride) - 1) * stride + weight.shape[-1] - size, 0)
        sides += padding or (total // 2, total - total // 2)
    return F.conv2d(F.pad(x, sides), weight, stride=stride)


def reflected(x: Tensor, border: int, dim: int) -> Tensor:
    size = x.shape[dim]
    places = [abs(place) for place in range(-border, size + border)]
    return x.index_select(dim, torch.tensor([min(place, 2 * (size - 1) - place) for place in places]))


def resnet_by_hand(x: Tensor, hand: Hand) -> Tensor:
    x = hand.act(hand.conv(x))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    x = hand.act(hand.conv(hand.act(hand.conv(x))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def srcnn_by_hand(x: Tensor, hand: Hand) -> Tensor:
    return hand.conv(hand.act(hand.conv(hand.act(hand.conv(x)))))


def strided_by_hand(x: Tensor, hand: Hand) -> Tensor:
    c1 = hand.act(hand.conv(x))
    c2 = hand.act(hand.norm(hand.conv(c1, stride=2)))
    x = hand.act(hand.norm(hand.conv(c2, stride=2)))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    x = hand.act(hand.norm(hand.transposed(x)))
    if hand.config.skips == "paper":
        x = x + c2
    x = hand.act(hand.norm(hand.transposed(x))) + c1
    x = hand.act(hand.conv(hand.act(hand.conv(x))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def johnson_by_hand(x: Tensor, hand: Hand) -> Tensor:
    x = hand.act(hand.norm(hand.conv(x)))
    for _ in range(2):
        x = hand.act(hand.norm(hand.conv(x, stride=2, padding=(1, 1))))
    for _ in range(hand.config.blocks):
        x = x + hand.norm(hand.conv(hand.act(hand.norm(hand.conv(x)))))
    for _ in range(2):
        x = hand.act(hand.norm(hand.transposed(x, padding=(1, 1))))
    return 0.58 * hand.conv(x).tanh() + 0.5


def cycle_resnet_by_hand(x: Tensor, hand: Hand) -> Tensor:
    bias = hand.config.norm == "none"
    x = hand.act(hand.norm(hand.reflecting_conv((x - 0.5) / 0.5, bias)))
    for _ in range(2):
        x = hand.act(hand.norm(hand.conv(x, stride=2, padding=(1, 1), bias=bias)))
    for _ in range(hand.config.blocks):
        branch = hand.act(hand.norm(hand.reflecting_conv(x, bias)))
        x = x + hand.norm(hand.reflecting_conv(branch, bias))
    for _ in range(2):
        x = hand.act(hand.norm(hand.transposed(x, padding=(1, 1), bias=bias)))
    return hand.reflecting_conv(x, bias=True).tanh() * 0.5 + 0.5


def shuffle_by_hand(x: Tensor, hand: Hand) -> Tensor:
    factor, squares = hand.config.factor, x
    number, _, height, width = x.shape
    h, w = height // factor, width // factor
    folded = torch.stack([x[..., dy::factor, dx::factor] for dy in range(factor) for dx in range(factor)], dim=2)
    x = hand.act(hand.conv(folded.reshape(number, -1, h, w)))
    for _ in range(hand.config.blocks):
        x = hand.dped_block(x)
    places, z = hand.conv(x).view(number, 3, factor**2, h, w), torch.zeros_like(squares)
    for place in range(factor**2):
        z[..., place // factor :: factor, place % factor :: factor] = places[:, :, place]
    return squares + z if hand.config.output == "residual" else 0.58 * z.tanh() + 0.5


def separable_by_hand(x: Tensor, hand: Hand) -> Tensor:
    def separable(x: Tensor) -> Tensor:
        kernels = hand.parameters.pop(0)
        each = [zero_padded_conv(x[:, [c]], kernels[[c]], 1, None) for c in range(x.shape[1])]
        return hand.act(hand.norm(hand.conv(torch.cat(each, dim=1))))

    images = x
    x = hand.act(hand.conv(x))
    for _ in range(hand.config.blocks):
        x = x + separable(separable(x))
    z = hand.conv(x)
    return images + z if hand.config.output == "residual" else 0.58 * z.tanh() + 0.5


BY_HAND: dict[str, Callable[[Tensor, Hand], Tensor]] = {
    "srcnn": srcnn_by_hand,
    "resnet": resnet_by_hand,
    "johnson": johnson_by_hand,
    "strided": strided_by_hand,
    "cycle_resnet": cycle_resnet_by_hand,
    "shuffle": shuffle_by_hand,
    "separable": separable_by_hand,
}
MORE = [
    ("resnet", {"kernel": 1, "blocks": 0}),
    ("resnet", {"norm": "batch", "activation": "prelu", "blocks": 2}),
    ("strided", {"kernel": 4, "strided_kernel": 3, "norm": "batch", "activation": "prelu", "skips": "paper"}),
    ("strided", {"kernel": 2, "strided_kernel": 2, "norm": "none", "blocks": 0}),
    ("strided", {"kernel": 4, "strided_kernel": 7, "norm": "none"}),
    ("johnson", {"norm": "instance", "blocks": 2}),
    ("cycle_resnet", {"norm": "none", "blocks": 2}),
    ("shuffle", {"factor": 3, "kernel": 5, "norm": "instance", "activation": "prelu", "output": "tanh"}),
    ("separable", {"kernel": 5, "norm": "batch", "activation": "prelu", "blocks": 2}),
]
CASES = {name: config for family in BY_HAND for name, config in variants(family).items()} | {
    f"{family} {' '.join(f'{leaf}={value}' for leaf, value in options.items())}": FAMILIES[family].config(
        channels=6, **options
    )
    for family, options in MORE
}


@pytest.mark.parametrize("case", CASES)
def test_forward_by_hand(case: str) -> None:
    config = CASES[case]
    net = build_net(config, seed=0).double().train()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():  # away from the start, where scales are 1, shifts and slopes 0
            parameter.normal_(0, 0.15, generator=generator)
    x, hand = images(config, 12, 19).double(), Hand(net, config)
    expected = BY_HAND[config.family](x, hand).float()
    assert expected.std() > 0.02
    torch.testing.assert_close(net(x), expected, rtol=1e-6, atol=1e-6)
    assert not hand.parameters  # every one was used
