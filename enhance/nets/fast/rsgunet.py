"""RSGUNet, the range-scaling global U-Net that won PIRM 2018's challenge on enhancement with a phone's means.

Source: Huang et al. 2018, "Range Scaling Global U-Net for Perceptual Image Enhancement on Mobile Devices", and the
authors' code, with c = `channels` (16; 1,451,268 parameters). 3x3 convolution of stride 2 to c; four levels of c, 2c,
4c and 8c, each with two 3x3 convolutions and a third of stride 2; a 3x3 convolution to 16c, whose mean over the picture
goes through a linear layer with ReLU to 8c and is attached to every place of the last level; then upwards with two 3x3
convolutions on every level and 2x2 transposed ones of stride 2 in between, beside what was there on the way down. The
result is multiplied by the first layer's ("range scaling"), brought to full size by a 2x2 transposed convolution of
stride 2 and a 3x3 convolution, and ends in 0.58 tanh + 0.52. LeakyReLU 0.2 after all 3x3 convolutions but the last.

init: "xavier" is the authors', whose transposed kernels have a deviation of 0.02 and no bias; their others are uniform,
with the same variance.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.fast_nets import RSGUNetConfig
from enhance.nets.layers import initialize_all, same
from enhance.nets.network import Network, blank

LEVELS = 4
UP_STD = 0.02


class RSGUNet(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to float32 images of the same shape in [-0.06, 1.1].

    H and W must be multiples of 32. The deep features are those before the mean, at 1/32 of the size.
    """

    def __init__(self, config: RSGUNetConfig, generator: torch.Generator) -> None:
        c = config.channels
        widths = [c * 2**level for level in range(LEVELS)]
        super().__init__(config, deep_channels=2 * widths[-1])
        self.first = _conv(3, c, stride=2)
        before = [c, *widths[:-1]]
        self.downs = nn.ModuleList(_twice(old, width) for old, width in zip(before, widths, strict=True))
        self.halves = nn.ModuleList(_conv(width, width, stride=2) for width in widths)
        self.deepest = _conv(widths[-1], 2 * widths[-1])
        self.whole: nn.Linear = blank(nn.Linear, 2 * widths[-1], widths[-1])
        self.middle = _twice(2 * widths[-1], widths[-1])
        above = list(reversed(widths[:-1]))
        self.ups = nn.ModuleList(_double(2 * width, width) for width in above)
        self.joins = nn.ModuleList(_twice(2 * width, width) for width in above)
        self.full = _double(c, 3)
        self.last = same(3, 3, 3)
        initialize_all(self, config.init, generator)
        if config.init == "xavier":
            for layer in (*self.ups, self.full):
                nn.init.trunc_normal_(layer.weight, std=UP_STD, a=-2 * UP_STD, b=2 * UP_STD, generator=generator)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first = x = self.first(images)
        passed = []
        for down, half in zip(self.downs, self.halves, strict=True):
            x = down(x)
            passed.append(x)
            x = half(x)
        deep, x = self.deepest(x), passed.pop()
        whole = F.relu(self.whole(deep.mean((2, 3))))[..., None, None]
        x = self.middle(torch.cat((x, whole.expand(-1, -1, *x.shape[-2:])), dim=1))
        for up, join in zip(self.ups, self.joins, strict=True):
            x = join(torch.cat((up(x), passed.pop()), dim=1))
        return 0.58 * torch.tanh(self.last(self.full(first * x)).float()) + 0.52, deep


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(same(before, after, 3, stride=stride), nn.LeakyReLU(0.2))


def _twice(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after), _conv(after, after))


def _double(before: int, after: int) -> nn.ConvTranspose2d:
    layer: nn.ConvTranspose2d = blank(nn.ConvTranspose2d, before, after, 2, stride=2, bias=False)
    return layer
