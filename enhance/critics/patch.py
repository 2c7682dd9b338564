"""PatchGAN: a score for every overlapping patch of the picture.

Source: pix2pix (Isola et al. 2017) and its authors' code; CycleGAN and the pix2pix enhancement papers use it too. All
convolutions are 4x4 with zero padding 1: `layers` of stride 2 with `channels` filters, doubled from layer to layer up
to eight times as many, one of stride 1 that doubles once more under the same limit, and one of stride 1 to a single
channel. LeakyReLU of 0.2 after each but the last, a norm before it except in the first. Three strided layers see
patches of 70 px (16, 34, 70, 142 and 286 px for 1 to 5) and give 30x30 scores at 256 px, 6x6 at 64. With 64 channels,
conditional and with batch norm: 2,768,705 parameters.

`norm`: "instance" (the default) and "batch" are both in the papers. As in the authors' code, instance norm has neither
scale nor shift, batch norm has both, and eps is 1e-5 (1e-3 would outweigh the variance of the maps at the start). A
convolution before a norm has no bias: the authors' code leaves one before instance norm, which cancels it. The Keras
example of CycleGAN gives instance norm a scale and a shift. Not here: weight clipping would hold the scale at 0.01 and
shrink the maps a hundredfold.

Start: weights normal with deviation 0.02, the scales of batch norm likewise around 1, biases and shifts 0 (the authors'
code). Pictures are in [0, 1] everywhere in this project and in [-1, 1] in theirs: they are stretched here first.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from enhance.config.adversaries import PatchCriticConfig
from enhance.critics.critic import Critic
from enhance.nets.layers import initialize_all
from enhance.nets.network import blank

_SLOPE = 0.2
_WIDEST = 8  # times the channels of the first layer


class PatchCritic(Critic):
    """(N, 3, size_px, size_px) pictures in [0, 1] to scores (N, 1, h, h), h = floor(size_px / 2^layers) - 2.

    Raises ValueError below 3 * 2^layers px, where no score would be left. Instance norm is never blind above it: the
    smallest map that is normalized has 2x2 px.
    """

    def __init__(self, config: PatchCriticConfig, size_px: int, generator: torch.Generator) -> None:
        super().__init__(config, size_px)
        widths = [config.channels * min(2**index, _WIDEST) for index in range(config.layers + 1)]
        first = _conv(6 if config.conditional else 3, widths[0], stride=2)
        last = _conv(widths[-1], 1)
        self.layers = nn.Sequential(first, nn.LeakyReLU(_SLOPE), *_hidden(widths, config.norm), last)
        initialize_all(self, "pix2pix", generator)

    def judge(self, seen: Tensor) -> Tensor:
        scores: Tensor = self.layers(2 * seen - 1)
        return scores


def _hidden(widths: list[int], kind: str) -> Iterator[nn.Module]:
    """All between the first and the last convolution; the last of these has stride 1."""
    for index, (before, after) in enumerate(pairwise(widths), start=1):
        yield _conv(before, after, stride=2 if index < len(widths) - 1 else 1, bias=kind == "none")
        yield _norm(kind, after)
        yield nn.LeakyReLU(_SLOPE)


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
    layer: nn.Module = blank(nn.Conv2d, inputs, outputs, 4, stride=stride, padding=1, bias=bias)
    return layer


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)
