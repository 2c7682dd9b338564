"""CycleGAN's generator.

Source: Zhu et al. 2017. Conv 7x7; two 3x3 convs of stride 2, each doubling the channels; `blocks` residual blocks at a
quarter of the size; two transposed 3x3 convs back; conv 7x7, tanh. The 7x7 and the block convs see the picture
reflected at its border, the strided ones zeros. A norm and a ReLU follow every conv but the last; a block is conv,
norm, ReLU, conv, norm, added to its input with nothing after the addition.

Two public codes differ. The authors' PyTorch code has an instance norm without scale and shift, and biases before it
that it cancels. Keras' example, followed here, has scale and shift and no bias where a norm follows, which also suits
batch norm. From the authors' code: one pixel of padding on both sides of a strided conv and output_padding 1 of a
transposed one (the example has TensorFlow's SAME), normals of deviation 0.02 ("pix2pix", the default start), scales
around 1 (the example: around 0). The norm's epsilon is 1e-3 as in all families here (the authors' code: 1e-5).
At the defaults it has 11,383,427 parameters; with norm "none" biases return everywhere, 11,378,179, which is also the
count of the authors' network.

The authors' network maps [-1, 1] to [-1, 1]. Like all families this one takes and gives [0, 1], and converts inside.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import CycleResNetConfig
from enhance.nets.layers import Residual, doubling, halving, initialize_all, norm, normed
from enhance.nets.network import Network, blank

ENDS_KERNEL = 7


class CycleResNet(Network):
    """(N, 3, H, W) float images, nominally in [0, 1], to images of the same shape in float32 and [0, 1].

    H and W must be multiples of 4 and at least 8. The deep features are those at a quarter of the size.
    """

    def __init__(self, config: CycleResNetConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        bias = config.norm == "none"
        self.down = nn.Sequential(
            *normed(_reflecting(3, full, ENDS_KERNEL, bias), full, config.norm),
            *normed(halving(full, half, bias=bias), half, config.norm),
            *normed(halving(half, quarter, bias=bias), quarter, config.norm),
        )
        self.blocks = nn.Sequential(*(_block(quarter, config.norm, bias) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            *normed(doubling(quarter, half, bias=bias), half, config.norm),
            *normed(doubling(half, full, bias=bias), full, config.norm),
            _reflecting(full, 3, ENDS_KERNEL, bias=True),
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.down(2 * images - 1))
        return (torch.tanh(self.up(deep).float()) + 1) / 2, deep


def _block(channels: int, norm_kind: str, bias: bool) -> Residual:
    return Residual(
        *normed(_reflecting(channels, channels, 3, bias), channels, norm_kind),
        _reflecting(channels, channels, 3, bias),
        norm(norm_kind, channels),
    )


def _reflecting(in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.Module:
    layer: nn.Module = blank(
        nn.Conv2d, in_channels, out_channels, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias
    )
    return layer
