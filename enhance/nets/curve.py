"""A global color curve on top of another network: phase 2 of the EnhanceGAN re-implementation (Kwan 2025).

The paper describes a block that "takes the U-Net's output and high-level features to predict a polynomial color curve,
which is applied in the CIELab color space using kornia". Its code is not published; this is our reading. With x one
Lab channel, scaled by SCALE to roughly [-1, 1],

    y = x + theta_0 + theta_1 x + ... + theta_degree x^degree,

with degree + 1 coefficients in (-1, 1) per image and channel. The constant term matters: without it, gray pixels would
stay gray and no color cast could be removed. An earlier published version of that code scaled Lab down and never back
up, so its pictures were black; our tests check for that first. EnhanceGAN itself (Deng et al. 2018) uses other curves.

Values are not confined to the gamut here: base networks return values below 0 and above 1, and the curve may leave the
gamut as well. kornia's rgb_to_lab continues linearly below 0 and works as it is. Its lab_to_rgb clips by default, so
out-of-gamut pixels get no gradient; even with clip=False it puts a floor under Z (blue below about -0.25), which again
removes gradients and keeps the zero curve from being the identity. Hence our own `lab_to_rgb`, from kornia's parts.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from enhance.config.nets import CurveConfig
from enhance.nets.layers import initialize_all
from enhance.nets.network import Network, blank

SCALE = (100.0, 110.0, 110.0)  # sRGB colors have L in [0, 100], a in [-86, 98], b in [-108, 94]
HIDDEN = 64
START_STD = 1e-3
_WHITE = (0.95047, 1.0, 1.08883)  # D65, kornia's values


class Curve(Network):
    """A base network of any other family, followed by a CurveBlock that adjusts the colors of its output.

    While `enabled` (initially True) is False, the block is skipped and the output is the base's; that is the first
    phase of training. `base` draws the same weights that its family would draw from the generator without a curve, so
    weights trained without one can be loaded into it.
    """

    why_eager = "kornia copies the matrices of a curve's colors from the host at every call"

    def __init__(self, config: CurveConfig, generator: torch.Generator) -> None:
        from enhance.nets import FAMILIES  # a cycle at import time: FAMILIES contains this class

        base = FAMILIES[config.base.family].build(config.base, generator)
        super().__init__(config, deep_channels=base.deep_channels)
        self.base = base
        # Built after the base, so that the base draws what it would draw alone.
        self.block = CurveBlock(base.deep_channels, config.degree, generator)
        self.enabled = True
        self._control_point: Tensor | None = None

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output, deep = self.base.forward_deep(images)
        self._control_point = None
        if self.enabled:
            output, theta = self.block(output, deep)
            self._control_point = theta.detach().mean()
        return output, deep

    def switches(self) -> dict[str, bool]:
        """Whether the block is enabled."""
        return {"enabled": self.enabled}

    def set_switches(self, switches: Mapping[str, bool]) -> None:
        """Enable or disable the block."""
        self.enabled = bool(switches["enabled"])

    def penalties(self) -> dict[str, tuple[float, Tensor]]:
        """The base's."""
        return self.base.penalties()

    def signals(self) -> dict[str, Tensor]:
        """The base's signals, and "control_point": the mean coefficient in the last forward pass, if the block ran."""
        own = {} if self._control_point is None else {"control_point": self._control_point}
        return {**self.base.signals(), **own}


class CurveBlock(nn.Module):
    """Predicts the coefficients of an image's curves and applies them, always in float32.

    The head takes the mean and mean square of each scaled Lab channel and the mean of each deep feature through two
    linear layers. The second starts so small that the block is nearly the identity, but not at zero, so that all
    weights have a gradient from the first step.
    """

    def __init__(self, deep_channels: int, degree: int, generator: torch.Generator) -> None:
        super().__init__()
        self.degree = degree
        last = blank(nn.Linear, HIDDEN, 3 * (degree + 1))
        self.head = nn.Sequential(blank(nn.Linear, deep_channels + 6, HIDDEN), nn.ReLU(), last)  # 6: two per channel
        initialize_all(self, "he", generator)
        nn.init.normal_(last.weight, 0.0, START_STD, generator=generator)

    def forward(self, images: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) RGB and (N, deep_channels, h, w) features to unclipped RGB and (N, 3, degree + 1) theta."""
        # No autocast: the cubes and roots of the color conversion amplify rounding.
        with torch.autocast(images.device.type, enabled=False):
            lab = to_scaled_lab(images.float())
            theta = self.coefficients(lab, deep.float())
            return from_scaled_lab(bend(lab, theta)), theta

    def coefficients(self, lab: Tensor, deep: Tensor) -> Tensor:
        """Each image's theta: (N, 3, degree + 1) in (-1, 1), constant term first."""
        pooled = [lab.mean((2, 3)), lab.square().mean((2, 3)), deep.mean((2, 3))]
        return torch.tanh(self.head(torch.cat(pooled, dim=1))).unflatten(1, (3, self.degree + 1))


def bend(x: Tensor, theta: Tensor) -> Tensor:
    """x plus a polynomial in x: (N, C, H, W) and coefficients (N, C, degree + 1), constant term first."""
    polynomial = torch.zeros_like(x)
    for coefficient in reversed(theta.unbind(-1)):  # Horner's scheme
        polynomial = polynomial * x + coefficient[..., None, None]
    return x + polynomial


def to_scaled_lab(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB, nominally in [0, 1], to L / 100, a / 110, b / 110 (white point D65)."""
    from kornia.color import rgb_to_lab  # slow to import, and needed by this family only

    return rgb_to_lab(rgb) / _column(SCALE, rgb)


def from_scaled_lab(lab: Tensor) -> Tensor:
    """The inverse of `to_scaled_lab`, also outside the gamut."""
    return lab_to_rgb(lab * _column(SCALE, lab))


def lab_to_rgb(lab: Tensor) -> Tensor:
    """kornia's lab_to_rgb(lab, clip=False) without its floor under Z, so that every pixel has a gradient."""
    from kornia.color import linear_rgb_to_rgb, xyz_to_rgb

    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    roots = torch.stack((y + a / 500, y, y - b / 200), dim=1)
    # CIE's inverse of f(t): a cube above 6/29 = 0.2069, the tangent there below; 7.787 is 1 / (3 (6/29)^2).
    xyz = torch.where(roots > 0.2068966, roots**3, (roots - 4 / 29) / 7.787) * _column(_WHITE, lab)
    return linear_rgb_to_rgb(xyz_to_rgb(xyz))


def _column(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, 3, 1, 1)
