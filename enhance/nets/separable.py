"""A residual network of depthwise-separable convolutions at full resolution.

Like `enhance.nets.resnet`, except that each conv in a block is split into a depthwise `kernel` x `kernel` and a
pointwise 1x1 conv, which cost k^2 c + c^2 instead of k^2 c^2. There is nothing between the two, as in Xception (Chollet
2017); norm and activation follow the second, so the first needs no bias. None of the five papers has this network.

The first and last convs are `kernel` x `kernel` too, and the two convs after the blocks are gone. DPED's 9x9 ends alone
cost 486 c multiplications per pixel, at 32 channels six times as much as a block of this network, which would defeat
the purpose of the cheap blocks.

output: "residual" (the default) adds the result to the input, so the network learns only the correction and starts near
the identity. "tanh" is DPED's 0.58 tanh + 0.5 of the result alone.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import SeparableConfig
from enhance.nets.layers import Residual, activation, initialize_all, output, same, start_near_input, with_norm
from enhance.nets.network import Network


class Separable(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape.

    The range is [-0.08, 1.08] with "tanh" and unbounded with "residual". The deep features are those after the blocks.
    """

    def __init__(self, config: SeparableConfig, generator: torch.Generator) -> None:
        channels = config.channels
        super().__init__(config, deep_channels=channels)
        self.output = config.output
        self.head = nn.Sequential(same(3, channels, config.kernel), activation(config.activation, channels))
        self.blocks = nn.Sequential(*(Residual(*_separable(config), *_separable(config)) for _ in range(config.blocks)))
        self.last = same(channels, 3, config.kernel)
        initialize_all(self, config.init, generator)
        if config.output == "residual":
            start_near_input(self.last)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.blocks(self.head(images))
        return output(self.output, images, self.last(deep)), deep


def _separable(config: SeparableConfig) -> list[nn.Module]:
    channels = config.channels
    depthwise = same(channels, channels, config.kernel, groups=channels, bias=False)
    return [depthwise, *with_norm(same(channels, channels, 1), channels, config.norm, config.activation)]
