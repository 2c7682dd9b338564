"""FPIE's proposed generator: most of the work is done at a quarter of the size.

Source: de Stoutz et al. 2018 (FPIE) and its code. Conv 9x9 with activation (c1); two strided convs, each doubling the
channels (c2, c3); `blocks` residual blocks as DPED's; two transposed convs back; two convs; conv 9x9; 0.58 tanh + 0.5.
Norm and activation follow the strided, transposed and block convs, an activation alone the first and the two after the
last transposed one. `strided_kernel` is that of the four layers that change the size, `kernel` that of the blocks and
of the two convs; the ends stay 9x9. Padding and alignment are TensorFlow's SAME, biases everywhere.

`skips` "code" (the default: the released weights are of this network) adds c1 to the last transposed layer's output,
and nothing at half the size. The paper's text says that the earlier maps are added at each resolution: "paper" adds c2
as well. At a quarter the residual blocks do it in both.

The proposed one is 3-4 / 16: 243,011 parameters. FPIE went from strided 3x3 to 4x4, because a transposed 3x3 of stride
2 covers its output unevenly: checkerboards.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import StridedConfig
from enhance.nets.layers import activation, initialize_all, normed, same, same_transposed, scaled_tanh
from enhance.nets.network import Network
from enhance.nets.resnet import ENDS_KERNEL, residual_block


class Strided(Network):
    """(N, 3, H, W) float images, nominally in [0, 1], to images of the same shape in float32 and [-0.08, 1.08].

    H and W must be multiples of 4. The deep features are those at a quarter of the size.
    """

    def __init__(self, config: StridedConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        kernel, strided_kernel = config.kernel, config.strided_kernel
        self.skips_at_half = config.skips == "paper"
        self.head = nn.Sequential(same(3, full, ENDS_KERNEL), activation(config.activation, full))
        self.to_half = _normed(config, same(full, half, strided_kernel, stride=2), half)
        self.to_quarter = _normed(config, same(half, quarter, strided_kernel, stride=2), quarter)
        self.blocks = nn.Sequential(
            *(residual_block(quarter, kernel, config.norm, config.activation) for _ in range(config.blocks))
        )
        self.back_to_half = _normed(config, same_transposed(quarter, half, strided_kernel, stride=2), half)
        self.back_to_full = _normed(config, same_transposed(half, full, strided_kernel, stride=2), full)
        self.tail = nn.Sequential(
            same(full, full, kernel),
            activation(config.activation, full),
            same(full, full, kernel),
            activation(config.activation, full),
            same(full, 3, ENDS_KERNEL),
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        c1 = self.head(images)
        c2 = self.to_half(c1)
        deep = self.blocks(self.to_quarter(c2))
        half = self.back_to_half(deep)
        full = self.back_to_full(half + c2 if self.skips_at_half else half) + c1
        return scaled_tanh(self.tail(full)), deep


def _normed(config: StridedConfig, layer: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(*normed(layer, channels, config.norm, config.activation))
