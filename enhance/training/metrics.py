"""How close an output is to its target: PSNR, SSIM, MS-SSIM and UQI, with all conventions fixed in this one module.

All functions take two float tensors of the same shape (N, C, H, W) with data range 1, clip both to [0, 1] and return
one value per image unless noted otherwise: a float64 tensor (N,) on the device of the input. An image with any NaN gets
NaN; infinities are clipped like any out-of-range value. Wrong shapes and integer images raise ValueError.

Everything is computed in float64 by shifted sums, on a CPU one image at a time: the maps then fit in the cache, an
image's value does not depend on its neighbors in the batch, and TF32 and autocast play no role.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PSNR_CEILING_DB = 10 * math.log10(12 * 255**2)
"""About 58.92 dB: the PSNR of 8-bit rounding noise, whose variance is (1/255)^2 / 12. A smaller error disappears when
the picture is stored, so PSNR is capped here, and identical images get this value instead of infinity."""

_TAPS, _SIGMA_PX = 11, 1.5
_LUMINANCE_C, _CONTRAST_C = 0.01**2, 0.03**2  # (k1 L)^2 and (k2 L)^2 of Wang et al. 2004, for a data range L of 1
_LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003
_UQI_WINDOW_PX = 8
_FLAT_VARIANCE = 1e-12  # a deviation of a millionth of the range; rounding leaves about 1e-16 in a flat window


def psnr_db(output: Tensor, target: Tensor, ceiling_db: float = PSNR_CEILING_DB) -> Tensor:
    """PSNR per image in dB, from the mean squared error over its pixels and channels.

    Capped at `ceiling_db`; `math.inf` returns the raw value. FPIE's tables average such per-image values. DPED's logs
    pool the squared error over the batch instead, which gives lower numbers: 2.1 dB lower for the untouched photos of
    60 DPED test pairs.
    """
    output, target = _clip(output, target)
    return _decibel((output - target).square().mean((1, 2, 3)), ceiling_db)


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Single-scale SSIM per image, in [-1, 1]; H and W at least 11.

    Wang et al. 2004: an 11 x 11 Gaussian window with deviation 1.5 px, biased variances, k1 = 0.01, k2 = 0.03, averaged
    over channels and over the positions where the window lies inside the image. Equals scikit-image's SSIM with
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False, which crops to the same positions.
    """
    output, target = _clip(output, target, minimum_px=_TAPS)
    return _by_image(lambda x, y: _similarity(x, y)[0], output, target)


def ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """Multi-scale SSIM per image, in [0, 1], by the recipe behind the tables and logs of DPED and FPIE, but per image.

    Five levels (100-50-25-13-7 px for a patch of 100), each the 2 x 2 means of the one before; an odd size counts its
    last row and column twice. Each level uses an 11 x 11 Gaussian window with deviation 1.5 px, inside positions only;
    if the image is smaller, the window shrinks to the image's size and its deviation in proportion. The contrast terms
    of levels 1 to 4 and the full SSIM of level 5, each averaged over positions and channels, are raised to the weights
    of Wang et al. 2003 and multiplied. A negative average (inverted pictures) has no fractional power and counts as 0.
    """
    output, target = _clip(output, target)
    return _by_image(lambda x, y: product(list(levels(x, y))), output, target)


def uqi(output: Tensor, target: Tensor) -> Tensor:
    """Universal quality index (Wang and Bovik 2002) per image, in [-1, 1]; H and W at least 8.

    An 8 x 8 uniform window at every inside position, unbiased variances, averaged over positions and channels. Where
    both windows are flat (sum of variances at most 1e-12), only the agreement of the means counts, as in the authors'
    code; two black windows agree. An image compared with itself gives exactly 1.
    """
    output, target = _clip(output, target, minimum_px=_UQI_WINDOW_PX)
    return _by_image(_uqi, output, target)


def evaluate(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """All reported metrics per image: "psnr_db", "ssim", "ms_ssim", "uqi". H and W at least 11."""
    output, target = _clip(output, target, minimum_px=_TAPS)
    values = _by_image(_evaluate, output, target)
    return dict(zip(("psnr_db", "ssim", "ms_ssim", "uqi"), values.unbind(-1), strict=True))


def _evaluate(x: Tensor, y: Tensor) -> Tensor:
    both = list(levels(x, y))  # shared: the first level of MS-SSIM is SSIM
    psnr = _decibel((x - y).square().mean((1, 2, 3)), PSNR_CEILING_DB)
    return torch.stack((psnr, both[0][0], product(both), _uqi(x, y)), dim=-1)


def _clip(output: Tensor, target: Tensor, minimum_px: int = 1) -> tuple[Tensor, Tensor]:
    if output.shape != target.shape or output.ndim != 4:
        shapes = f"{tuple(output.shape)} and {tuple(target.shape)}"
        raise ValueError(f"output and target must have the same shape (N, C, H, W), not {shapes}")
    if min(output.shape[1:]) < 1 or min(output.shape[2:]) < minimum_px:
        raise ValueError(f"H and W must be at least {minimum_px} px for this metric, not {tuple(output.shape)}")
    if not (output.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"images must be float with range [0, 1], not {output.dtype} and {target.dtype}")
    return output.detach().double().clamp(0, 1), target.detach().double().clamp(0, 1)


def _by_image(metric: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> Tensor:
    step = 1 if output.device.type == "cpu" else max(1, len(output))
    return torch.cat([metric(x, y) for x, y in zip(torch.split(output, step), torch.split(target, step), strict=True)])


def _decibel(mse: Tensor, ceiling_db: float) -> Tensor:
    return (-10 * mse.log10()).clamp(max=ceiling_db)


def levels(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """SSIM and its contrast-structure factor, (N,) each, at the levels of MS-SSIM, differentiable, unclipped."""
    yield _similarity(x, y)
    for _ in _LEVEL_WEIGHTS[1:]:
        # ceil_mode averages the pixels that exist, which equals counting the last row or column twice.
        x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))
        yield _similarity(x, y)


def product(levels: list[tuple[Tensor, Tensor]], floor: float = 0.0) -> Tensor:
    """MS-SSIM per image, (N,), from its levels; averages below `floor` count as that."""
    terms = [contrast for _, contrast in levels[:-1]] + [levels[-1][0]]
    # Filled on the device: a recorded step must not copy constants from the host. One tensor of powers, since single
    # numbers would take another path through torch, to other last bits.
    powers = torch.stack([terms[0].new_full((), weight) for weight in _LEVEL_WEIGHTS])
    return torch.stack(terms, dim=-1).clamp(min=floor).pow(powers).prod(-1)


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure factor, each averaged over positions and channels: two tensors (N,)."""
    window = _gaussian(min(_TAPS, *x.shape[2:]))
    mean_x, mean_y, square_x, square_y, product = _Slide.apply(torch.stack((x, y, x * x, y * y, x * y)), window)
    # Biased variances as E[x^2] - E[x]^2; float64 makes the cancellation harmless.
    variances = (square_x - mean_x.square()) + (square_y - mean_y.square())
    contrast = (2 * (product - mean_x * mean_y) + _CONTRAST_C) / (variances + _CONTRAST_C)
    luminance = (2 * mean_x * mean_y + _LUMINANCE_C) / (mean_x.square() + mean_y.square() + _LUMINANCE_C)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


@lru_cache
def _gaussian(taps: int) -> tuple[float, ...]:
    sigma = _SIGMA_PX * taps / _TAPS
    raw = [math.exp(-((tap - (taps - 1) / 2) ** 2) / (2 * sigma**2)) for tap in range(taps)]
    return tuple(weight / sum(raw) for weight in raw)


class _Slide(torch.autograd.Function):
    """`_slide` with a backward pass of its own: torch's would make a picture-sized map for each tap."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, window: tuple[float, ...]) -> Tensor:
        ctx.window = window
        return _slide(maps, window)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # The window is symmetric, so that the transpose of sliding it is to slide it over the padded gradient.
        margin = (len(ctx.window) - 1,) * 4
        return _slide(F.pad(gradients[0], margin), ctx.window), None


def _slide(maps: Tensor, window: tuple[float, ...]) -> Tensor:
    """Weighted sums of `maps` (..., H, W) under a separable window, at the positions where it fits inside."""
    for dim in (-2, -1):
        # Shifted sums instead of a convolution, which autocast and TF32 would apply to.
        size = maps.shape[dim] - len(window) + 1
        total = window[0] * maps.narrow(dim, 0, size)
        for shift, weight in enumerate(window[1:], start=1):
            total.add_(maps.narrow(dim, shift, size), alpha=weight)
        maps = total
    return maps


def _uqi(x: Tensor, y: Tensor) -> Tensor:
    count = _UQI_WINDOW_PX**2
    sum_x, sum_y, square_x, square_y, product = _box_sums(torch.stack((x, y, x * x, y * y, x * y)))
    mean_x, mean_y = sum_x / count, sum_y / count
    var_x, var_y = ((s - m * m * count) / (count - 1) for s, m in ((square_x, mean_x), (square_y, mean_y)))
    covariance = (product - mean_x * mean_y * count) / (count - 1)
    means, variances = mean_x.square() + mean_y.square(), var_x + var_y
    # Both denominators can be 0; dividing by 1 there keeps NaN out of the branch that `where` discards.
    black = means == 0
    agreement = torch.where(black, 1.0, 2 * mean_x * mean_y / torch.where(black, 1.0, means))
    flat = variances <= _FLAT_VARIANCE
    structure = torch.where(flat, 1.0, 2 * covariance / torch.where(flat, 1.0, variances))
    return (agreement * structure).mean((1, 2, 3))


def _box_sums(maps: Tensor) -> Tensor:
    """Sums over 8 x 8 windows of `maps` (..., H, W); the window doubles three times along each axis."""
    for dim in (-2, -1):
        for shift in (1, 2, 4):
            size = maps.shape[dim] - shift
            maps = maps.narrow(dim, 0, size) + maps.narrow(dim, shift, size)
    return maps
