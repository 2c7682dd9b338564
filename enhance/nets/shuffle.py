"""A residual network on pixels folded into channels, so that every layer works on a small map.

Squares of `factor` x `factor` pixels are folded into channels (without loss); conv to `channels` with activation;
`blocks` of DPED's residual blocks; conv to 3 factor^2 channels, which are unfolded again. The unfolding is the
sub-pixel convolution of Shi et al. 2016 (ESPCN); here it is used at both ends. Nothing is strided or transposed: each
output pixel is written exactly once, so there is no checkerboard. None of the five papers has this network.

output: "residual" (the default) adds the result to the input, so the network learns only the correction and starts near
the identity. "tanh" is DPED's 0.58 tanh + 0.5 of the result alone.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import ShuffleConfig
from enhance.nets.layers import activation, initialize_all, output, same, start_near_input
from enhance.nets.network import Network
from enhance.nets.resnet import residual_block


class Shuffle(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape.

    H and W must be multiples of `factor`. The range is [-0.08, 1.08] with "tanh" and unbounded with "residual". The
    deep features are those after the blocks, at 1 / `factor` of the size.
    """

    def __init__(self, config: ShuffleConfig, generator: torch.Generator) -> None:
        channels, folded = config.channels, 3 * config.factor**2
        super().__init__(config, deep_channels=channels)
        self.factor, self.output = config.factor, config.output
        self.head = nn.Sequential(same(folded, channels, config.kernel), activation(config.activation, channels))
        self.blocks = nn.Sequential(
            *(residual_block(channels, config.kernel, config.norm, config.activation) for _ in range(config.blocks))
        )
        self.last = same(channels, folded, config.kernel)
        initialize_all(self, config.init, generator)
        if config.output == "residual":
            start_near_input(self.last)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.head(F.pixel_unshuffle(images, self.factor)))
        return output(self.output, images, F.pixel_shuffle(self.last(deep), self.factor)), deep
