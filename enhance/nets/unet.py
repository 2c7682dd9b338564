"""pix2pix's generator (Isola et al. 2017), a U-Net.

Source: Table 1 of "Pix2Pix based Image Enhancement" (Jain et al., UCSD; below, "the paper"), which is pix2pix's
published network: 8 levels, from 256 px down to one. Down: conv 4x4 of stride 2, LeakyReLU(0.2), a norm on all but the
first and the innermost level. Up: transposed conv 4x4 of stride 2, ReLU, a norm on all but the last, concatenated with
the map of the same size from the way down. Kernels of 4 at stride 2 overlap evenly, so there is no checkerboard. As in
the authors' code, activations come before convolutions, so the maps passed across have none applied yet.

With fewer levels, maps of 8 * channels are dropped, not the outer ones: `levels` 6 is the paper's network for 64 px
(its Table 1 without layers 6, 7, 10 and 11). Dropout follows the first up-layers: three of 8 levels (the paper's layers
9, 10 and 11), four of 9, two of 7, and one of 6 (layer 9, which the paper's smaller network keeps) or fewer.

Convolutions have a bias where no norm follows: 54,414,531 parameters at 8 levels with batch norm. Norms are those of
this package (`enhance.nets.layers.norm`: epsilon 1e-3, instance norm with scale and shift).
"""

import itertools

import torch
from torch import Tensor, nn

from enhance.config.nets import UNetConfig
from enhance.nets.layers import initialize_all, norm
from enhance.nets.network import Dropout, Network, blank

SLOPE = 0.2
WIDEST = 8  # times `channels`: the largest number of channels of any map


class UNet(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape.

    output: "tanh" (the default) is (tanh + 1) / 2, in [0, 1]; like the input it is rescaled with mean and deviation
    0.5. The paper normalizes with mean 0.5 and deviation 0.25 and ends in a bare tanh, which can only reach levels from
    0.25 to 0.75. "relu" is in [0, inf), for targets of high dynamic range (the paper's third task).

    H and W are multiples of 2**levels. The smallest map with a norm has four pixels.
    """

    def __init__(self, config: UNetConfig, generator: torch.Generator) -> None:
        widths = [3, *(config.channels * min(2**level, WIDEST) for level in range(config.levels))]
        super().__init__(config, deep_channels=widths[-1])
        self.output = config.output
        last = config.levels - 1
        self.down = nn.ModuleList(
            _down(inputs, outputs, config.norm if 0 < level < last else "none", first=level == 0)
            for level, (inputs, outputs) in enumerate(itertools.pairwise(widths))
        )
        self.up = nn.ModuleList(
            _up(
                # Each up-layer sees the map from below and the one from the way down; the innermost has no such pair.
                widths[level + 1] * (1 if level == last else 2),
                widths[level],
                config.norm if level > 0 else "none",
                # last - level counts the up-layers from the innermost, which is 0.
                config.dropout if last - level < dropout_layers(config.levels) else 0.0,
            )
            for level in reversed(range(config.levels))
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = 2 * images - 1
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        # The innermost map has no partner on the way up.
        deep = skips.pop()
        x = self.up[0](deep)
        for layer in self.up[1:]:
            x = layer(torch.cat((skips.pop(), x), dim=1))
        x = x.float()  # bfloat16 has only 8 bits of precision, too few for pixels
        return (torch.relu(x) if self.output == "relu" else (torch.tanh(x) + 1) / 2), deep


def dropout_layers(levels: int) -> int:
    """How many of the first up-layers have dropout; see the module."""
    return max(levels - 5, 1)


def _down(inputs: int, outputs: int, kind: str, first: bool) -> nn.Sequential:
    activation = nn.Identity() if first else nn.LeakyReLU(SLOPE)
    conv = blank(nn.Conv2d, inputs, outputs, 4, stride=2, padding=1, bias=kind == "none")
    return nn.Sequential(activation, conv, norm(kind, outputs))


def _up(inputs: int, outputs: int, kind: str, dropout: float) -> nn.Sequential:
    conv = blank(nn.ConvTranspose2d, inputs, outputs, 4, stride=2, padding=1, bias=kind == "none")
    noise = [Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.ReLU(), conv, norm(kind, outputs), *noise)
