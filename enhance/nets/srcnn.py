"""SRCNN, one of DPED's comparison networks and PIRM 2018's yardstick for speed: just three convolutions.

Source: Dong et al. 2014 (SRCNN) with the sizes of PIRM's released network: conv 9x9 to `channels`, ReLU; conv 5x5 to
half as many, ReLU; conv 5x5 to 3, linear. SAME zero padding, where the paper lets the picture shrink. The default of 64
channels has 69,251 parameters; the released network has 69,249, because its last three biases are a single number.
"""

import torch
from torch import Tensor, nn

from enhance.config.nets import SRCNNConfig
from enhance.nets.layers import initialize_all, same
from enhance.nets.network import Network


class SRCNN(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    The deep features are the second layer's.
    """

    def __init__(self, config: SRCNNConfig, generator: torch.Generator) -> None:
        wide, narrow = config.channels, config.channels // 2
        super().__init__(config, deep_channels=narrow)
        self.features = nn.Sequential(same(3, wide, 9), nn.ReLU(), same(wide, narrow, 5), nn.ReLU())
        self.last = same(narrow, 3, 5)
        initialize_all(self, config.init, generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.features(images)
        # float: under autocast a convolution returns bfloat16, which is too coarse for pixels.
        return self.last(deep).float(), deep
