"""DPED's residual generator, which also spans the (kernel, channels, blocks) grid of FPIE's Table 1.

Source: the code of the DPED authors (Ignatov et al. 2017) and of FPIE (de Stoutz et al. 2018). Conv 9x9, activation;
`blocks` residual blocks; two convs of size `kernel` with activations; conv 9x9; 0.58 tanh + 0.5. A block adds
act(norm(conv(act(norm(conv(x)))))) to x: its last activation comes before the addition, and none after it. The first
conv, the two after the blocks and the last one have no norm. SAME zero padding, stride 1, biases everywhere. DPED
itself is kernel 3, channels 64, blocks 4 with instance norm: 401,475 parameters.

init: "dped" (the default) is the authors', so small that the first hundreds of steps mostly grow the weights. "he"
preserves the scale of activations from the start; with norm "none" it is what makes micro-runs short. Ports of the
network report the same about norms: see DECISIONS.md.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import ResNetConfig
from enhance.nets.layers import Residual, activation, initialize_all, same, scaled_tanh, with_norm
from enhance.nets.network import Network

ENDS_KERNEL = 9  # of the first and last conv, independent of `kernel`


class ResNet(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape in [-0.08, 1.08].

    The output is not clipped, so that a saturated pixel still has a gradient. Instance norm needs H * W > 1.
    """

    def __init__(self, config: ResNetConfig, generator: torch.Generator) -> None:
        kernel, channels, nonlinearity = config.kernel, config.channels, config.activation
        super().__init__(config, deep_channels=channels)
        self.head = nn.Sequential(same(3, channels, ENDS_KERNEL), activation(nonlinearity, channels))
        self.blocks = nn.Sequential(
            *(residual_block(channels, kernel, config.norm, nonlinearity) for _ in range(config.blocks))
        )
        self.tail = nn.Sequential(
            same(channels, channels, kernel),
            activation(nonlinearity, channels),
            same(channels, channels, kernel),
            activation(nonlinearity, channels),
            same(channels, 3, ENDS_KERNEL),
        )
        initialize_all(self, "dped", generator)
        if config.init != "dped":  # drawn second, so that a seed gives the same weights as in earlier releases
            initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.head(images))
        return scaled_tanh(self.tail(deep)), deep


def residual_block(channels: int, kernel: int, norm_kind: str, activation_kind: str) -> Residual:
    """DPED's residual block: two convolutions, each with norm and activation, added to their input."""
    return Residual(
        *with_norm(same(channels, channels, kernel), channels, norm_kind, activation_kind),
        *with_norm(same(channels, channels, kernel), channels, norm_kind, activation_kind),
    )
