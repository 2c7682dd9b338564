"""The image transformation network of Johnson et al. 2016, DPED's second baseline.

Conv 9x9; two 3x3 convs of stride 2, each doubling the channels; `blocks` residual blocks at a quarter of the size; two
transposed 3x3 convs back; conv 9x9; scaled tanh. A norm and a ReLU follow every conv but the last; a block is
conv, norm, ReLU, conv, norm, added to its input with nothing after the addition.

From Johnson's code: 32 channels and five blocks, biases beside norms, one pixel of padding on both sides of a strided
conv, output_padding 1 of a transposed one: 1,679,235 parameters. DPED's paper says only that this is a residual network
of four blocks of two convs (blocks=4). The rest is as in DPED's own generator: the output 0.58 tanh + 0.5 (Johnson: 150
tanh, for pixels around a mean), zero padding (Johnson: reflection by 40 px at the start, then blocks without padding),
the norm's epsilon and the start.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import JohnsonConfig
from enhance.nets.layers import Residual, doubling, halving, initialize_all, norm, normed, same, scaled_tanh
from enhance.nets.network import Network


class Johnson(Network):
    """(N, 3, H, W) float images, nominally in [0, 1], to images of the same shape in float32 and [-0.08, 1.08].

    H and W must be multiples of 4. The deep features are those at a quarter of the size.
    """

    def __init__(self, config: JohnsonConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        self.down = nn.Sequential(
            *normed(same(3, full, 9), full, config.norm),
            *normed(halving(full, half), half, config.norm),
            *normed(halving(half, quarter), quarter, config.norm),
        )
        self.blocks = nn.Sequential(*(_block(quarter, config.norm) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            *normed(doubling(quarter, half), half, config.norm),
            *normed(doubling(half, full), full, config.norm),
            same(full, 3, 9),
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.down(images))
        return scaled_tanh(self.up(deep)), deep


def _block(channels: int, norm_kind: str) -> Residual:
    return Residual(
        *normed(same(channels, channels, 3), channels, norm_kind),
        same(channels, channels, 3),
        norm(norm_kind, channels),
    )
