"""NAFNet: a U-Net of residual blocks without activations, whose only nonlinearities are products of channels.

Source: Chen et al. 2022, "Simple Baselines for Image Restoration", and the authors' code. 3x3 convolution to
`channels`; on each of `levels`, `blocks` blocks and a 2x2 convolution of stride 2 to twice the channels; `blocks`
blocks in the middle; upwards, a 1x1 convolution and sub-pixels, the addition of what was there on the way down, and
`blocks` blocks; 3x3 convolution to 3, added to the input. The authors' networks have 32 or 64 channels, 4 levels and 36
blocks, unevenly distributed; the default here has 73,331 parameters.

A block adds two branches to its input, each scaled channel by channel. The first: norm over channels, 1x1 convolution
to twice the channels, depthwise 3x3, gate (one half of the channels times the other), a factor for each channel from
its mean over the picture, 1x1. The second: norm, 1x1 to twice the channels, gate, 1x1.

Here the branches' scales start at 0.01, not at 0, so that every layer learns from the first step; and the last
convolution starts small, so that the network starts near the identity.
"""

import torch
from torch import Tensor, nn

from enhance.config.fast_nets import NAFNetConfig
from enhance.nets.layers import RESIDUAL_START, initialize_all, same, start_near_input
from enhance.nets.network import Network, blank


class NAFNet(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    H and W must be multiples of 2^levels. The deep features are those of the middle, at 1 / 2^levels of the size.
    """

    def __init__(self, config: NAFNetConfig, generator: torch.Generator) -> None:
        widths = [config.channels * 2**level for level in range(config.levels)]
        deep = config.channels * 2**config.levels
        super().__init__(config, deep_channels=deep)
        self.first = same(3, config.channels, 3)
        self.encoders = nn.ModuleList(_blocks(width, config.blocks) for width in widths)
        self.downs = nn.ModuleList(same(width, 2 * width, 2, stride=2) for width in widths)
        self.middle = _blocks(deep, config.blocks)
        self.ups = nn.ModuleList(_up(width) for width in reversed(widths))
        self.decoders = nn.ModuleList(_blocks(width, config.blocks) for width in reversed(widths))
        self.last = same(config.channels, 3, 3)
        initialize_all(self, config.init, generator)
        start_near_input(self.last)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x, passed = self.first(images), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            passed.append(x)
            x = down(x)
        deep = x = self.middle(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(passed), strict=True):
            x = decoder(up(x) + skip)
        return images.float() + self.last(x).float(), deep


class Block(nn.Module):
    """Two gated branches, added to their input (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.widen1, self.depthwise = (
            same(channels, 2 * channels, 1),
            same(2 * channels, 2 * channels, 3, groups=2 * channels),
        )
        self.attention: nn.Linear = blank(nn.Linear, channels, channels)
        self.narrow1 = same(channels, channels, 1)
        self.widen2, self.narrow2 = same(channels, 2 * channels, 1), same(channels, channels, 1)
        self.scale1, self.scale2 = (nn.Parameter(torch.full((channels,), RESIDUAL_START)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = gate(self.depthwise(self.widen1(self.norm1(x))))
        y = self.narrow1(y * self.attention(y.mean((2, 3)))[..., None, None])
        x = x + y * self.scale1[:, None, None]
        return x + self.narrow2(gate(self.widen2(self.norm2(x)))) * self.scale2[:, None, None]


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of each pixel of (N, channels, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def gate(x: Tensor) -> Tensor:
    """One half of the channels times the other."""
    one, other = x.chunk(2, dim=1)
    return one * other


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def _up(width: int) -> nn.Sequential:
    """From twice the width and half the size; nn.PixelShuffle spends 4 channels on each pixel."""
    return nn.Sequential(same(2 * width, 4 * width, 1, bias=False), nn.PixelShuffle(2))
