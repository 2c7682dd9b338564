"""CycleGAN's generator.

Source: Zhu et al. 2017. Conv 7x7; two 3x3 convs of stride 2, each doubling the channels; `blocks` residual blocks at a
quarter of the size; two transposed 3x3 convs back up; conv 7x7; tanh. The 7x7 convs and those in the blocks use
reflection padding, the strided ones zeros. A norm and a ReLU follow every conv but the last. A block computes conv,
norm, ReLU, conv, norm and adds its input, with no activation after the addition.

Two public implementations differ. The authors' PyTorch code uses instance norm without scale and shift, and before it
biases, which the norm cancels. Keras' example, followed here, has scale and shift and no bias before a norm; that suits
batch norm too. Taken from the authors' code: one pixel of padding on both sides of a strided conv and output_padding 1
for a transposed one (Keras: TensorFlow's SAME), weights normal with deviation 0.02 ("pix2pix", the default
initialization), norm scales around 1 (Keras: around 0). The norm's epsilon is 1e-3, as in all our families (authors'
code: 1e-5). With the defaults it has 11,383,427 parameters. With norm "none" every conv has a bias: 11,378,179
parameters, exactly as many as the authors' network.

The authors' network maps [-1, 1] to [-1, 1]. Like all our families, this one maps [0, 1] to [0, 1] and rescales inside.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import CycleResNetConfig
from enhance.nets.layers import Residual, down_conv, initialize_all, norm, up_conv, with_norm
from enhance.nets.network import Network, blank

ENDS_KERNEL = 7


class CycleResNet(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape in [0, 1].

    H and W must be multiples of 4, at least 8. The deep features are at a quarter of the size.
    """

    def __init__(self, config: CycleResNetConfig, generator: torch.Generator) -> None:
        full, half, quarter = config.channels, 2 * config.channels, 4 * config.channels
        super().__init__(config, deep_channels=quarter)
        bias = config.norm == "none"  # a norm would cancel it
        self.down = nn.Sequential(
            *with_norm(_reflect_conv(3, full, ENDS_KERNEL, bias), full, config.norm),
            *with_norm(down_conv(full, half, bias=bias), half, config.norm),
            *with_norm(down_conv(half, quarter, bias=bias), quarter, config.norm),
        )
        self.blocks = nn.Sequential(*(_block(quarter, config.norm, bias) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            *with_norm(up_conv(quarter, half, bias=bias), half, config.norm),
            *with_norm(up_conv(half, full, bias=bias), full, config.norm),
            _reflect_conv(full, 3, ENDS_KERNEL, bias=True),
        )
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.down(2 * images - 1))
        # The tanh in float32: under autocast, bfloat16 has only 8 bits of precision, too few for pixels.
        return (torch.tanh(self.up(deep).float()) + 1) / 2, deep


def _block(channels: int, norm_kind: str, bias: bool) -> Residual:
    return Residual(
        *with_norm(_reflect_conv(channels, channels, 3, bias), channels, norm_kind),
        _reflect_conv(channels, channels, 3, bias),
        norm(norm_kind, channels),
    )


def _reflect_conv(in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.Module:
    layer: nn.Module = blank(
        nn.Conv2d, in_channels, out_channels, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias
    )
    return layer
