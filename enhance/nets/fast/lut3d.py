"""Image-adaptive 3D lookup tables: a picture's color transform as a mixture of a few learned tables.

Source: Zeng et al. 2020, "Learning Image-adaptive 3D Lookup Tables for High Performance Photo Enhancement in
Real-time", and the authors' code. `tables` tables of `vertices`^3 colors are learned, the first of which starts as the
identity and the others as 0. A predictor sees the picture scaled to 256 x 256 and gives each table a weight; the pixels
are looked up in the weighted sum. The predictor: five 3x3 convolutions of stride 2 to c, 2c, 4c, 8c and 8c `channels`,
each with LeakyReLU 0.2 and all but the last with an instance norm; dropout; an 8x8 convolution whose bias starts at 1.

The loss has two more terms. "smoothness": the mean squared weight, and the total variation of each table, with the
outermost cells of an axis counted twice. "monotonicity": the mean step downwards along each axis, of each table. The
authors' weights are 1e-4 and 10, beside a mean squared error.

init: "code" is the authors': Xavier's normal, so that the first weight starts anywhere around 1 and pictures too
bright or too dark. "identity" shrinks the last convolution, so that all start near the identity.
"""

from collections.abc import Mapping
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.fast_nets import LUT3DConfig
from enhance.nets.fast.lookup import identity_table, look_up
from enhance.nets.layers import RESIDUAL_START, down_conv, initialize_all
from enhance.nets.network import Dropout, Network, blank

VIEW_PX = 256


class LUT3D(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    The deep features are the predictor's last, 8 x 8 px whatever the picture's size.
    """

    def __init__(self, config: LUT3DConfig, generator: torch.Generator) -> None:
        wide = 8 * config.channels
        super().__init__(config, deep_channels=wide)
        self.vertices, self.lookup = config.vertices, config.lookup
        self.smoothness, self.monotonicity = config.smoothness, config.monotonicity
        # Not one axis a color: memory formats are for pictures, and this has none.
        self.tables = nn.Parameter(torch.zeros(config.tables, config.vertices**3, 3))
        with torch.no_grad():
            self.tables[0] = identity_table(config.vertices)
        self.features = _features(config.channels)
        self.dropout = Dropout(config.dropout)
        self.last: nn.Conv2d = blank(nn.Conv2d, wide, config.tables, 8)
        initialize_all(self, "xavier", generator)
        nn.init.ones_(self.last.bias)
        if config.init == "identity":
            with torch.no_grad():
                self.last.weight.mul_(RESIDUAL_START)
        self._weights: Tensor | None = None

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        deep = self.features(thumbnail(images, VIEW_PX))
        weights = self.last(self.dropout(deep)).flatten(1)
        # No autocast: bfloat16 is too coarse for colors, and for the places between two vertices.
        with torch.autocast(images.device.type, enabled=False):
            weights = weights.float()
            mixed = (weights @ self.tables.flatten(1)).unflatten(1, (-1, 3))
            output = look_up(self.lookup, images.float(), mixed)
        self._weights = weights if self.training else None
        return output, deep

    def penalties(self) -> dict[str, tuple[float, Tensor]]:
        """Both regularizations: the weight of each, and its value for the last pass in training."""
        found: dict[str, tuple[float, Tensor]] = {}
        weights, self._weights = self._weights, None
        steps = self._steps()
        if self.smoothness and weights is not None:
            variation = torch.stack([_doubled_at_ends(step, axis) for axis, step in steps]).sum()
            found["smoothness"] = self.smoothness, weights.square().mean() + len(self.tables) * variation
        if self.monotonicity:
            falls = torch.stack([F.relu(-step).mean() for _, step in steps]).sum()
            found["monotonicity"] = self.monotonicity, len(self.tables) * falls
        return found

    def _steps(self) -> list[tuple[int, Tensor]]:
        """For the axis of each color, the difference of neighboring vertices."""
        cubes = self.tables.unflatten(1, (self.vertices,) * 3)
        return [(axis, cubes.diff(dim=axis)) for axis in (1, 2, 3)]


def thumbnail(images: Tensor, px: int) -> Tensor:
    """(N, 3, H, W) images scaled to `px` x `px`, bilinearly and without a filter, as the authors' code does."""
    return F.interpolate(images, size=(px, px), mode="bilinear", align_corners=False)


def official_state(tables: Mapping[str, Mapping[str, Tensor]], predictor: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state for a `LUT3D` of the authors' sizes, from the two files that their training writes.

    `tables` holds the tables (3, V, V, V) by number, as {"0": {"LUT": ...}, ...}, axes from blue to red; `predictor`
    its layers, whose names are those of places in a list: what counts is their order. Raises ValueError if their number
    or shapes are not those of the network.
    """
    cubes = [tables[number]["LUT"] for number in sorted(tables, key=int)]
    net = LUT3D(LUT3DConfig(tables=len(cubes), vertices=cubes[0].shape[-1]), torch.Generator())
    own = [(name, value) for name, value in net.state_dict().items() if name != "tables"]
    if [value.shape for _, value in own] != [value.shape for value in predictor.values()]:
        found = ", ".join(f"{name} {tuple(value.shape)}" for name, value in predictor.items())
        raise ValueError(f"not the predictor of {len(cubes)} tables: {found}")
    rows = torch.stack([cube.permute(1, 2, 3, 0).flatten(0, 2) for cube in cubes])
    return {"tables": rows} | {name: value for (name, _), value in zip(own, predictor.values(), strict=True)}


def _features(channels: int) -> nn.Sequential:
    widths = [3, *(channels * factor for factor in (1, 2, 4, 8, 8))]
    blocks = [
        (down_conv(before, after), nn.LeakyReLU(0.2), nn.InstanceNorm2d(after, affine=True))
        for before, after in pairwise(widths)
    ]
    # The last one is without its norm.
    return nn.Sequential(*list(chain(*blocks))[:-1])


def _doubled_at_ends(step: Tensor, axis: int) -> Tensor:
    """The mean squared step along an axis, the first and the last one of the axis counted twice."""
    squares = step.square()
    ends = squares.select(axis, 0).sum() + squares.select(axis, -1).sum()
    return (squares.sum() + ends) / squares.numel()
