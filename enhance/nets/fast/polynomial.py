"""A polynomial of each pixel's color whose coefficients are linear in statistics of the picture. Ours.

A color correction of this kind is linear in its parameters, so it needs no training: `enhance.closed_form` fits it to
pairs by ridge regression. Built alone, it starts near the input, like any other network that adds to it.

With m the monomials of red, green and blue up to `degree` (3: 19 of them, and 1) and s the statistics of the picture,

    y_c = x_c + sum over i and j of coefficients[c, i, j] m_i(x) s_j.

The statistics are a constant, the mean and the deviation of each channel, and two percentiles of the luma, all of the
picture averaged to at most 64 x 64 px, so that they cost next to nothing. `statistics` "moments" leaves the percentiles
out; "none" leaves the constant alone: one curve for all pictures.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.fast_nets import PolynomialConfig
from enhance.nets.network import Network

VIEW_PX = 64
"""The side of the picture whose statistics decide about the colors."""

PERCENTILES = (0.05, 0.95)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
START_STD = 1e-4
COUNTS = {"all": 9, "moments": 7, "none": 1}
"""The number of statistics for each choice of them."""

_CHUNK = 1 << 16  # pixels at a time: their monomials then stay in the cache


class Polynomial(Network):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unbounded float32 images of the same shape.

    The deep features are each picture's own coefficients, (N, 3 * monomials, 1, 1).
    """

    def __init__(self, config: PolynomialConfig, generator: torch.Generator) -> None:
        groups = [
            group
            for size in range(1, config.degree + 1)
            for group in itertools.combinations_with_replacement(range(3), size)
        ]
        super().__init__(config, deep_channels=3 * (len(groups) + 1))
        self.groups, self.statistics = groups, COUNTS[config.statistics]
        shape = (3, len(groups) + 1, self.statistics)
        self.coefficients = nn.Parameter(torch.empty(shape).normal_(0.0, START_STD, generator=generator))

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        # No autocast: the coefficients of a cubic polynomial largely cancel.
        with torch.autocast(images.device.type, enabled=False):
            images = images.float()
            deep = torch.einsum("cms,ns->ncm", self.coefficients, self.seen(images)).flatten(1)[..., None, None]
            mixed = deep.view(len(images), 3, -1)
            parts = [mixed @ self.monomials(part) for part in images.flatten(2).split(_CHUNK, dim=2)]
            return images + torch.cat(parts, dim=2).view_as(images), deep

    def monomials(self, colors: Tensor) -> Tensor:
        """All monomials of (N, 3, P) colors, the constant first: (N, monomials, P), in the dtype of the colors."""
        powers: dict[tuple[int, ...], Tensor] = {(channel,): colors[:, channel] for channel in range(3)}
        for group in self.groups:
            if group not in powers:
                powers[group] = powers[group[:-1]] * powers[group[-1:]]
        return torch.stack([torch.ones_like(colors[:, 0]), *(powers[group] for group in self.groups)], dim=1)

    def seen(self, images: Tensor) -> Tensor:
        """The statistics of (N, 3, H, W) pictures, the constant first: (N, statistics)."""
        found = [images.new_ones(len(images), 1)]
        if self.statistics > 1:
            small = F.adaptive_avg_pool2d(images, (min(images.shape[-2], VIEW_PX), min(images.shape[-1], VIEW_PX)))
            flat = small.flatten(2)
            # Inside the root: a plain picture has no deviation, and the root no slope there.
            found += [flat.mean(2), (flat.var(2, correction=0) + 1e-6).sqrt()]
            if self.statistics == COUNTS["all"]:
                found.append(_percentiles(flat))
        return torch.cat(found, dim=1)


def _percentiles(flat: Tensor) -> Tensor:
    """The percentiles of the luma of (N, 3, P) pixels, each the nearest that occurs: (N, 2)."""
    luma = sum(share * flat[:, channel] for channel, share in enumerate(LUMA))
    assert isinstance(luma, Tensor)
    ordered = luma.sort(dim=1).values
    places = [round(share * (ordered.shape[1] - 1)) for share in PERCENTILES]
    return torch.stack([ordered[:, place] for place in places], dim=1)
