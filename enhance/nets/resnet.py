"""DPED's residual generator, and with it the (kernel, channels, blocks) grid of FPIE's Table 1.

Source: the code of the DPED authors (Ignatov et al. 2017) and of FPIE (de Stoutz et al. 2018). Order and details:
conv 9x9, activation; `blocks` residual blocks; two convs of `kernel` with activations; conv 9x9; 0.58 tanh + 0.5. A
block adds act(norm(conv(act(norm(conv(x)))))) to x: its last activation comes before the addition and nothing after.
No norm on the first, the two post-block and the last convs. SAME zero padding, stride 1, biases everywhere.
DPED itself is kernel 3, channels 64, blocks 4 with instance norm: 401,475 parameters.

`init` "dped" (the default) is the authors': so small that the first hundreds of steps go into growing the weights. "he"
starts where activations keep their size; with norm "none" it is what makes micro-runs short (ports report the same of
norm: DECISIONS.md).
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import ResNetConfig
from enhance.nets.layers import activation, initialise_all, norm, same_conv
from enhance.nets.network import Network

ENDS_KERNEL = 9  # whatever `kernel` is


class ResNet(Network):
    """(N, 3, H, W) float images, nominally in [0, 1], to images of the same shape in float32 and [-0.08, 1.08].

    The output is not clipped, so that a saturated pixel still has a gradient. Instance norm needs H * W > 1.
    """

    def __init__(self, config: ResNetConfig, generator: torch.Generator) -> None:
        kernel, channels = config.kernel, config.channels
        super().__init__(config, deep_channels=channels)
        self.head = nn.Sequential(
            same_conv(3, channels, ENDS_KERNEL, generator), activation(config.activation, channels)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(config, generator) for _ in range(config.blocks)))
        self.tail = nn.Sequential(
            same_conv(channels, channels, kernel, generator),
            activation(config.activation, channels),
            same_conv(channels, channels, kernel, generator),
            activation(config.activation, channels),
            same_conv(channels, 3, ENDS_KERNEL, generator),
        )
        if config.init != "dped":  # which every layer begins with
            initialise_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.head(images))
        return scaled_tanh(self.tail(deep)), deep


def scaled_tanh(z: Tensor) -> Tensor:
    """0.58 tanh + 0.5 in float32: [-0.08, 1.08], so that a saturated pixel still has a gradient.

    In bfloat16 the steps between neighbouring output values would be as wide as those of 8-bit pictures.
    """
    return 0.58 * torch.tanh(z.float()) + 0.5


class ResidualBlock(nn.Module):
    """Two convolutions, each with norm and activation, added to their input."""

    def __init__(self, config: ResNetConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.branch = nn.Sequential(*conv_norm_activation(config, generator), *conv_norm_activation(config, generator))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def conv_norm_activation(config: ResNetConfig, generator: torch.Generator) -> list[nn.Module]:
    """The three layers of half a residual block."""
    channels = config.channels
    convolution = same_conv(channels, channels, config.kernel, generator)
    return [convolution, norm(config.norm, channels), activation(config.activation, channels)]
