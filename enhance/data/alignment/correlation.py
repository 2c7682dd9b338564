"""Normalized cross-correlation of grayscale patches, and its maximum."""

import torch
import torch.nn.functional as F
from torch import Tensor


def best_shift(search: Tensor, templates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find each of N templates (N, P, P) in its search area (N, S, S) by normalized cross-correlation.

    Returns the shift from the center of the area in whole pixels, (N, 2) int64 as (y, x); the fraction beyond that,
    (N, 2) float64 in [-0.5, 0.5], from a parabola through the neighbors; and whether the maximum is at the rim, (N,).
    """
    scores = correlations(search, templates)
    side = scores.shape[-1]
    best = scores.flatten(1).argmax(dim=1)
    places = torch.stack((best // side, best % side), dim=1)
    row, column = places.clamp(1, side - 2).unbind(dim=1)  # the parabola needs a neighbor on each side
    window = torch.arange(len(scores))
    middle = scores[window, row, column]
    fractions = torch.stack(
        (
            parabola_peak(scores[window, row - 1, column], middle, scores[window, row + 1, column]),
            parabola_peak(scores[window, row, column - 1], middle, scores[window, row, column + 1]),
        ),
        dim=1,
    )
    at_rim = ((places == 0) | (places == side - 1)).any(dim=1)
    return places - side // 2, fractions, at_rim


def correlations(search: Tensor, templates: Tensor) -> Tensor:
    """(N, R, R) float64 correlations in [-1, 1] at all R = S - P + 1 positions per axis; 0 where a patch is flat."""
    size_px, side = templates.shape[-1], search.shape[-1] - templates.shape[-1] + 1
    centered = templates.double() - templates.double().mean(dim=(1, 2), keepdim=True)
    # The mean of the area cancels in the end; without it the sums of squares lose fewer digits.
    area = search.double() - search.double().mean(dim=(1, 2), keepdim=True)
    # Correlation by FFT. It is circular, but the first R positions per axis do not wrap around.
    spectrum = torch.fft.rfft2(area) * torch.fft.rfft2(centered, s=area.shape[1:]).conj()
    products = torch.fft.irfft2(spectrum, s=area.shape[1:])[:, :side, :side]
    sums, squares = (_box_sums(values, size_px) for values in (area, area.square()))
    energy = (squares - sums.square() / size_px**2).clamp_min(0) * centered.square().sum(dim=(1, 2), keepdim=True)
    return torch.where(energy > 1e-6, products / energy.clamp_min(1e-6).sqrt(), torch.zeros_like(products))


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """(N,) float64: the normalized cross-correlation of (N, P, P) patches without a shift; 0 where one is flat."""
    a, b = (patches.double() - patches.double().mean(dim=(1, 2), keepdim=True) for patches in (a, b))
    energy = a.square().sum(dim=(1, 2)) * b.square().sum(dim=(1, 2))
    return torch.where(energy > 1e-6, (a * b).sum(dim=(1, 2)) / energy.clamp_min(1e-6).sqrt(), torch.zeros_like(energy))


def parabola_peak(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    """The vertex of the parabola through three equidistant values, in [-0.5, 0.5] from the middle; 0 if none."""
    bend = before - 2 * middle + after
    place = (before - after) / torch.where(bend < 0, 2 * bend, torch.ones_like(bend))
    return torch.where(bend < 0, place, torch.zeros_like(bend)).clamp(-0.5, 0.5)


def _box_sums(values: Tensor, size_px: int) -> Tensor:
    """The sums over all (size_px, size_px) boxes of (N, S, S) values."""
    # An integral image: each box is the difference of four of its corners.
    total = F.pad(values, (1, 0, 1, 0)).cumsum(dim=1).cumsum(dim=2)
    return (
        total[:, size_px:, size_px:] - total[:, :-size_px, size_px:]
        - total[:, size_px:, :-size_px] + total[:, :-size_px, :-size_px]
    )  # fmt: skip
