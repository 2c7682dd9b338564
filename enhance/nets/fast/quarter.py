"""A color transform for the whole picture, and a small convolutional body at a fraction of its size. Ours.

Much of what separates a phone's picture from a DSLR's is color, which a polynomial of each pixel's color corrects at
next to no cost. The rest is left to a body that works on pixels folded into channels (pixel-unshuffle).

Color: with "cubic", a constant and the 19 monomials of red, green and blue up to the third degree ("affine": 3) are
mixed into a correction of the three channels. The coefficients follow from the mean and the deviation of each channel
over the picture, directly and through a few hidden units. "grid" is an HDRNet (`enhance.nets.fast.bilateral`), which
corrects each place and brightness in its own way; "none" leaves colors to the body.

Body: squares of `factor` px into channels; conv to `channels` with activation; `blocks` convolutions with activation;
conv to 3 factor^2 channels, unfolded again and added. With `branches` "three", each convolution is the sum of a
`kernel` x `kernel` one, a 1x1 one, a 1x1 one to twice the channels followed by another `kernel` x `kernel` one and, if
the width stays, the identity; MobileIE and SYENet train such branches. They have no activations in between, so their
sum is one convolution, whose kernel is computed first: training and inference run the same plain layers.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.fast_nets import BilateralConfig, QuarterConfig
from enhance.nets.fast.bilateral import Bilateral
from enhance.nets.layers import activation, initialize_all, start_near_input
from enhance.nets.network import Network, blank

DEGREES = {"affine": 1, "cubic": 3}
HIDDEN = 16
VIEW_PX = 64
"""The side of the picture whose statistics decide about the colors."""


class Quarter(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    H and W must be multiples of `factor`. The deep features are those after the blocks, at 1 / `factor` of the size.
    """

    def __init__(self, config: QuarterConfig, generator: torch.Generator) -> None:
        channels, folded = config.channels, 3 * config.factor**2
        super().__init__(config, deep_channels=channels)
        self.factor = config.factor
        self.color = _color(config.color, generator)
        widths = [folded, *[channels] * (config.blocks + 1)]
        layers = [
            nn.Sequential(Branches(before, after, config), activation(config.activation, after))
            for before, after in itertools.pairwise(widths)
        ]
        self.body = nn.Sequential(*layers)
        self.last = Branches(channels, folded, config)
        for part in (self.color, self.body, self.last):
            if not isinstance(part, Bilateral | None):  # which has drawn its own
                initialize_all(part, config.init, generator)
        for branches in self.modules():
            if isinstance(branches, Branches):
                branches.start()
        start_near_input(self.last)
        if isinstance(self.color, Color):
            start_near_input(self.color.last)

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = images.float()
        colored = images if self.color is None else self.color(images)
        deep = self.body(F.pixel_unshuffle(colored, self.factor))
        return colored + F.pixel_shuffle(self.last(deep), self.factor).float(), deep


def _color(kind: str, generator: torch.Generator) -> "Color | Bilateral | None":
    if kind == "grid":
        return Bilateral(BilateralConfig(), generator)
    return None if kind == "none" else Color(DEGREES[kind])


class Color(nn.Module):
    """Adds a polynomial of each pixel's color, with coefficients that depend on the picture. Always in float32.

    A small perceptron takes the mean and the deviation of each channel, of the picture averaged to at most 64 x 64 px,
    to the coefficients: (monomials + 1) x 3.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.monomials = [
            group for size in range(1, degree + 1) for group in itertools.combinations_with_replacement(range(3), size)
        ]
        self.hidden: nn.Linear = blank(nn.Linear, 6, HIDDEN)
        self.last: nn.Linear = blank(nn.Linear, 6 + HIDDEN, 3 * (len(self.monomials) + 1))

    def forward(self, images: Tensor) -> Tensor:
        # No autocast: the coefficients of a cubic polynomial largely cancel.
        with torch.autocast(images.device.type, enabled=False):
            seen = statistics(images)
            coefficients = self.last(torch.cat((seen, F.relu(self.hidden(seen))), dim=1)).unflatten(1, (3, -1))
            return images + self._polynomial(images, coefficients)

    def _polynomial(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """(N, 3, H, W) colors by (N, 3, monomials + 1) coefficients, the constant first."""
        colors, values = images.flatten(2), []
        powers: dict[tuple[int, ...], Tensor] = {(channel,): colors[:, channel] for channel in range(3)}
        for group in self.monomials:
            if group not in powers:
                powers[group] = powers[group[:-1]] * powers[group[-1:]]
            values.append(powers[group])
        sums = torch.baddbmm(coefficients[..., :1], coefficients[..., 1:], torch.stack(values, dim=1))
        return sums.unflatten(2, images.shape[-2:])


class Branches(nn.Module):
    """A convolution with SAME zero padding whose kernel is the sum of several branches'; none but the first has a bias.

    A bias before the second convolution of a branch would not reach its zero padding, and could not be folded.
    """

    def __init__(self, before: int, after: int, config: QuarterConfig) -> None:
        super().__init__()
        kernel = config.kernel
        self.padding, self.skip = kernel // 2, config.branches == "three" and before == after
        self.main: nn.Conv2d = blank(nn.Conv2d, before, after, kernel)
        self.point: nn.Conv2d | None = None
        if config.branches == "three":
            self.point = blank(nn.Conv2d, before, after, 1, bias=False)
            self.widen: nn.Conv2d = blank(nn.Conv2d, before, 2 * before, 1, bias=False)
            self.narrow: nn.Conv2d = blank(nn.Conv2d, 2 * before, after, kernel, bias=False)

    def start(self) -> None:
        """Share the size of one convolution's output among the branches."""
        if self.point is not None:
            with torch.no_grad():
                for layer in (self.main, self.point, self.narrow):
                    layer.weight.mul_(1 / math.sqrt(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), self.main.bias, padding=self.padding)

    def kernel(self) -> Tensor:
        """The kernel of the one convolution that equals the sum of all branches."""
        weight = self.main.weight
        if self.point is None:
            return weight
        with torch.autocast(weight.device.type, enabled=False):
            center = self.point.weight
            if self.skip:
                center = center + torch.eye(len(weight), device=weight.device, dtype=weight.dtype)[..., None, None]
            both = torch.einsum("omhw,mi->oihw", self.narrow.weight, self.widen.weight[..., 0, 0])
            return weight + both + F.pad(center, (self.padding,) * 4)


def statistics(images: Tensor) -> Tensor:
    """The mean and deviation of each channel: (N, 3, H, W) to (N, 6), of the picture averaged to 64 x 64 px."""
    small = F.adaptive_avg_pool2d(images, (min(images.shape[-2], VIEW_PX), min(images.shape[-1], VIEW_PX)))
    # Inside the root: a plain picture has no deviation, and the root no slope there.
    return torch.cat((small.mean((2, 3)), (small.var((2, 3), correction=0) + 1e-6).sqrt()), dim=1)
