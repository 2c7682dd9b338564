"""HDRNet: a coarse grid of affine color transforms, looked up by place and by brightness.

Source: Gharbi et al. 2017, "Deep Bilateral Learning for Real-Time Image Enhancement", and the authors' code
(HDRNetCurves without batch norm). The picture scaled to 256 x 256 (bilinearly; the authors take the nearest pixels)
goes through four 3x3 convolutions of stride 2 to c, 2c, 4c and 8c `channels`. From there a local path of two 3x3
convolutions keeps 16 x 16 places, and a global one (two 3x3 convolutions of stride 2, linear layers to 32c, 16c and 8c)
gives a vector that is added to each of them. A 1x1 convolution of the ReLU of the sum gives a transform of 3 x 4
numbers for every place and each of `depth` levels of the guide. With 8 channels and 8 levels the network is the
authors'.

The guide is computed from the picture at full size: a color matrix, for each channel a sum of `knots` ReLUs with
slopes, a weighted mean of the three, clipped to [0, 1]. Every pixel is multiplied by its own transform, interpolated
linearly along both sides and the guide between the centers of the grid's cells; beyond the outermost centers it stays
as it is.

init: "code" is the authors' variance scaling ("he" here), which starts as an arbitrary picture. "identity" shrinks the
last layer and sets its bias to the identity.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.fast_nets import BilateralConfig
from enhance.nets.fast.lookup import CHUNK_PX
from enhance.nets.fast.lut3d import VIEW_PX, thumbnail
from enhance.nets.layers import initialize_all, same, start_near_input
from enhance.nets.network import Network, blank

PLACES = 16
"""Cells of the grid along each side of the picture."""


class Bilateral(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    The deep features are the sum of both paths, 16 x 16 px whatever the picture's size.
    """

    def __init__(self, config: BilateralConfig, generator: torch.Generator) -> None:
        c, wide = config.channels, 8 * config.channels
        super().__init__(config, deep_channels=wide)
        self.depth = config.depth
        splat = [_down(before, after) for before, after in ((3, c), (c, 2 * c), (2 * c, 4 * c), (4 * c, wide))]
        self.splat = nn.Sequential(*splat)
        self.local = nn.Sequential(same(wide, wide, 3), nn.ReLU(), same(wide, wide, 3, bias=False))
        self.whole = nn.Sequential(
            _down(wide, wide),
            _down(wide, wide),
            nn.Flatten(),
            blank(nn.Linear, (PLACES // 4) ** 2 * wide, 4 * wide),
            nn.ReLU(),
            blank(nn.Linear, 4 * wide, 2 * wide),
            nn.ReLU(),
            blank(nn.Linear, 2 * wide, wide),
        )
        self.last: nn.Conv2d = blank(nn.Conv2d, wide, 12 * config.depth, 1)
        self.guide = Guide(config.knots)
        initialize_all(self, "he", generator)
        self.guide.start(generator)
        if config.init == "identity":
            start_near_input(self.last)
            with torch.no_grad():
                # Of 4 inputs (red, green, blue, 1) by 3 outputs by levels, those that lead a color to itself.
                self.last.bias.view(4, 3, -1).add_(torch.eye(4, 3)[..., None])

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.splat(thumbnail(images, VIEW_PX))
        deep = F.relu(self.local(features) + self.whole(features)[..., None, None])
        grid = self.last(deep).unflatten(1, (4, 3, self.depth))
        # No autocast: bfloat16 is too coarse for colors and for the places in the grid.
        with torch.autocast(images.device.type, enabled=False):
            return self._transform(images.float(), grid.float()), deep

    def _transform(self, images: Tensor, grid: Tensor) -> Tensor:
        """Images (N, 3, H, W), each by its own grid (N, 4, 3, depth, 16, 16)."""
        height, width = images.shape[-2:]
        rows = max(1, CHUNK_PX // width)
        parts = []
        for first in range(0, height, rows):
            strip = images[:, :, first : first + rows]
            affine = slice_grid(grid, self.guide(strip), first, height)
            colors = (affine[..., :3] * strip.permute(0, 2, 3, 1)[..., None, :]).sum(-1)
            parts.append(colors + affine[..., 3])
        return torch.cat(parts, dim=1).permute(0, 3, 1, 2)


class Guide(nn.Module):
    """A brightness in [0, 1] for each pixel, (N, H, W), from images (N, 3, H, W)."""

    def __init__(self, knots: int) -> None:
        super().__init__()
        self.matrix, self.shift = nn.Parameter(torch.eye(3)), nn.Parameter(torch.zeros(3))
        # Knots from 0 up, the first with slope 1 and the others with 0: the curve starts as it is.
        self.knots = nn.Parameter(torch.arange(knots).div(knots).repeat(3, 1))
        self.slopes = nn.Parameter(torch.eye(1, knots).repeat(3, 1))
        self.mix, self.bias = nn.Parameter(torch.full((3,), 1 / 3)), nn.Parameter(torch.zeros(1))

    def start(self, generator: torch.Generator) -> None:
        """Move the matrix a little off the identity."""
        with torch.no_grad():
            self.matrix.add_(torch.randn(3, 3, generator=generator), alpha=1e-4)

    def forward(self, images: Tensor) -> Tensor:
        knots = self.knots.shape[1]
        # Two 1x1 convolutions: each channel's sum of ReLUs is linear in what the ReLUs leave.
        matrix, shift = self.matrix.repeat_interleave(knots, 0), self.shift.repeat_interleave(knots)
        bent = F.relu(F.conv2d(images, matrix[..., None, None], shift - self.knots.flatten()))
        mixed = (self.mix[:, None] * self.slopes).flatten()
        return F.conv2d(bent, mixed[None, :, None, None], self.bias)[:, 0].clamp(0, 1)


def slice_grid(grid: Tensor, guide: Tensor, first_row: int, height: int) -> Tensor:
    """The transforms (N, h, W, 3, 4) of h rows, from row `first_row` on, of a picture that is `height` px high.

    grid: (N, 4, 3, depth, gh, gw). guide: (N, h, W) in [0, 1].
    """
    number, rows, width = guide.shape
    depth, grid_height, grid_width = grid.shape[-3:]
    # Rows are the same for all pixels of a line: a product with a small matrix, before anything is looked up.
    y = _places(first_row, rows, height, grid_height, grid)
    tents = F.relu(1 - (y[:, None] - torch.arange(grid_height, device=grid.device)).abs())
    lines = torch.einsum("yg,niodgx->nyxdoi", tents, grid)
    x, z = _places(0, width, width, grid_width, grid), (guide * depth - 0.5).clamp(0, depth - 1)
    left, below = (place.detach().floor().long().clamp(0, count - 2) for place, count in ((x, grid_width), (z, depth)))
    line = torch.arange(number * rows, device=grid.device).view(number, rows, 1)
    row, table = (line * grid_width + left) * depth + below, lines.reshape(-1, 12)
    along_x, along_z = (x - left)[:, None], (z - below)[..., None]
    near, far = (
        torch.lerp(F.embedding(row + step, table), F.embedding(row + step + 1, table), along_z) for step in (0, depth)
    )
    return torch.lerp(near, far, along_x).unflatten(-1, (3, 4))


def _places(first: int, count: int, px: int, cells: int, like: Tensor) -> Tensor:
    """Where `count` pixels from `first` on, of a side of `px`, lie among the centers of `cells`."""
    pixels = torch.arange(first, first + count, device=like.device, dtype=like.dtype)
    return ((pixels + 0.5) * cells / px - 0.5).clamp(0, cells - 1)


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(same(before, after, 3, stride=2), nn.ReLU())
