"""FPIE's proposed generator, which does most of its work at a quarter of the size.

Source: de Stoutz et al. 2018 (FPIE) and its code. Conv 9x9 with activation (c1); two strided convs, each doubling the
channels (c2, c3); `blocks` of DPED's residual blocks; two transposed convs back up; two convs; conv 9x9; 0.58 tanh +
0.5. Strided, transposed and block convs are followed by norm and activation; the first conv and the two after the last
transposed one by an activation only. `strided_kernel` is the size of the four layers that change resolution, `kernel`
that of the blocks and the two convs; the ends are always 9x9. Padding and alignment are TensorFlow's SAME; all convs
have biases.

skips: "code" (the default; the released weights are for this network) adds c1 to the output of the last transposed conv
and nothing at half the size. The paper says that earlier maps are added at each resolution, so "paper" adds c2 as well.
At a quarter of the size, the residual blocks do the adding in both.

The proposed network is 3-4 / 16: 243,011 parameters. FPIE moved from strided 3x3 to 4x4, because a transposed 3x3 of
stride 2 covers its output unevenly, which shows as a checkerboard.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import StridedConfig
from enhance.nets.layers import activation, initialize_all, same, same_transposed, scaled_tanh, with_norm
from enhance.nets.network import Network
from enhance.nets.resnet import ENDS_KERNEL, residual_block


class Strided(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape in [-0.08, 1.08].

    H and W must be multiples of 4. The deep features are at a quarter of the size.
    """

    def __init__(self, config: StridedConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        kernel, strided_kernel = config.kernel, config.strided_kernel
        self.skips_at_half = config.skips == "paper"
        self.head = nn.Sequential(same(3, full, ENDS_KERNEL), activation(config.activation, full))
        self.to_half = _with_norm(config, same(full, half, strided_kernel, stride=2), half)
        self.to_quarter = _with_norm(config, same(half, quarter, strided_kernel, stride=2), quarter)
        self.blocks = nn.Sequential(
            *(residual_block(quarter, kernel, config.norm, config.activation) for _ in range(config.blocks))
        )
        self.back_to_half = _with_norm(config, same_transposed(quarter, half, strided_kernel, stride=2), half)
        self.back_to_full = _with_norm(config, same_transposed(half, full, strided_kernel, stride=2), full)
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


def _with_norm(config: StridedConfig, layer: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(*with_norm(layer, channels, config.norm, config.activation))
