"""PatchGAN: one score for every overlapping patch of the picture.

Source: pix2pix (Isola et al. 2017) and its authors' code; CycleGAN and the pix2pix enhancement papers use it too. All
convolutions are 4x4 with zero padding 1: `layers` of stride 2, starting at `channels` filters and doubling up to eight
times as many; one of stride 1 that doubles once more within that limit; and one of stride 1 to a single channel. All
but the last are followed by LeakyReLU(0.2), and all but the first and last have a norm before it. Three strided layers
see patches of 70 px (1 to 5 layers: 16, 34, 70, 142, 286 px) and return 30x30 scores at 256 px, 6x6 at 64 px. With 64
channels, conditional and with batch norm: 2,768,705 parameters.

norm: the papers use both "instance" (the default) and "batch". As in the authors' code, instance norm has no scale and
shift, batch norm has both, and eps is 1e-5 (1e-3 would exceed the variance of the initial maps). Convolutions before a
norm have no bias; the authors' code keeps one before instance norm, which cancels it. The Keras example of CycleGAN
gives instance norm a scale and a shift. We do not: weight clipping would hold the scale at 0.01 and shrink the maps a
hundredfold.

Initialization as in the authors' code: weights normal with deviation 0.02, batch norm scales likewise around 1, biases
and shifts 0. Pictures are in [0, 1] throughout this project and in [-1, 1] in theirs, so they are rescaled first.
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
    """Maps (N, 3, size_px, size_px) pictures in [0, 1] to scores (N, 1, h, h), h = floor(size_px / 2^layers) - 2.

    Raises ValueError below 3 * 2^layers px, where no score would remain. From there on instance norm always has
    something to see: the smallest normalized map is 2x2 px.
    """

    def __init__(self, config: PatchCriticConfig, size_px: int, generator: torch.Generator) -> None:
        super().__init__(config, size_px)
        widths = [config.channels * min(2**index, _WIDEST) for index in range(config.layers + 1)]
        first = _conv(6 if config.conditional else 3, widths[0], stride=2)
        # No sigmoid at the end: objectives take scores of any size.
        last = _conv(widths[-1], 1)
        self.layers = nn.Sequential(first, nn.LeakyReLU(_SLOPE), *_hidden(widths, config.norm), last)
        initialize_all(self, "pix2pix", generator)

    def judge(self, seen: Tensor) -> Tensor:
        scores: Tensor = self.layers(2 * seen - 1)  # from [0, 1] to the [-1, 1] of the authors' code
        return scores


def _hidden(widths: list[int], kind: str) -> Iterator[nn.Module]:
    """The layers between the first and the last convolution; the last of them has stride 1."""
    for index, (before, after) in enumerate(pairwise(widths), start=1):
        # A norm subtracts the mean, so a bias right before it would have no effect.
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
