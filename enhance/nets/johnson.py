"""The image transformation network of Johnson et al. 2016, one of DPED's comparison networks.

Conv 9x9; two 3x3 convs of stride 2, each doubling the channels; `blocks` residual blocks at a quarter of the size; two
transposed 3x3 convs back up; conv 9x9; scaled tanh. A norm and a ReLU follow every conv but the last. A block computes
conv, norm, ReLU, conv, norm and adds its input, with no activation after the addition.

From Johnson's code: 32 channels and five blocks, biases even before norms, one pixel of padding on both sides of a
strided conv, output_padding 1 for a transposed one; 1,679,235 parameters. DPED's paper says only that this is a
residual network of four blocks with two convs each (blocks=4). The rest follows DPED's own generator: the output is
0.58 tanh + 0.5 (Johnson: 150 tanh, for pixels around a mean), padding is zero (Johnson: 40 px of reflection at the
start, then unpadded blocks), and so are the norm's epsilon and the initialization.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import JohnsonConfig
from enhance.nets.layers import Residual, down_conv, initialize_all, norm, same, scaled_tanh, up_conv, with_norm
from enhance.nets.network import Network


class Johnson(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape in [-0.08, 1.08].

    H and W must be multiples of 4. The deep features are at a quarter of the size.
    """

    def __init__(self, config: JohnsonConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        self.down = nn.Sequential(
            *with_norm(same(3, full, 9), full, config.norm),
            *with_norm(down_conv(full, half), half, config.norm),
            *with_norm(down_conv(half, quarter), quarter, config.norm),
        )
        self.blocks = nn.Sequential(*(_block(quarter, config.norm) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            *with_norm(up_conv(quarter, half), half, config.norm),
            *with_norm(up_conv(half, full), full, config.norm),
            same(full, 3, 9),
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.down(images))
        return scaled_tanh(self.up(deep)), deep


def _block(channels: int, norm_kind: str) -> Residual:
    return Residual(
        *with_norm(same(channels, channels, 3), channels, norm_kind),
        same(channels, channels, 3),
        norm(norm_kind, channels),
    )
