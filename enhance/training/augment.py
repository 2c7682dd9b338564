"""Random brightness, contrast and saturation, applied alike to an input and its target (pix2pix task B).

The operations are torchvision's (`adjust_brightness`, `adjust_contrast`, `adjust_saturation`), in this order, each with
its own factor per sample and clipped to [0, 1]. Input and target go through the same function of a pixel's value, so
that pixels on which the two agree still agree afterwards; anything else would teach the network a difference that is
not in the photographs. Contrast is therefore stretched around the input's mean gray in both. Around each picture's own
mean, a difference in brightness would stay unchanged while everything else is stretched.

Flips are done by indexing: see `enhance.data.batches`.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from enhance.config.training import AugmentConfig
from enhance.data.batches import Stream, generator_at

GRAY = (0.2989, 0.587, 0.114)  # torchvision's rgb_to_grayscale


def color_factors(config: AugmentConfig, seed: int, step: int, count: int) -> npt.NDArray[np.float32] | None:
    """The factors (3, count, 1, 1, 1) of brightness, contrast and saturation for `count` samples of a step.

    Factors are uniform in [1 - strength, 1 + strength]. If all strengths are 0, nothing is drawn: None. One strength
    does not affect the draws of another.
    """
    strengths = (config.brightness, config.contrast, config.saturation)
    # Always three rows: switching one operation on must not change the factors of the others.
    if not any(strengths):
        return None
    uniform = generator_at(seed, step, stream=Stream.COLOR).uniform(-1, 1, (3, count, 1, 1, 1)).astype(np.float32)
    return 1 + np.array(strengths, np.float32)[:, None, None, None, None] * uniform


def gray_shares(device: torch.device) -> Tensor:
    """The share of each channel in gray, (3, 1, 1): made once, so that a step copies nothing from the host."""
    return torch.tensor(GRAY, device=device)[:, None, None]


def augment(
    source: Tensor, target: Tensor, config: AugmentConfig, factors: Tensor, gray: Tensor
) -> tuple[Tensor, Tensor]:
    """Augment `source` and `target`, (N, 3, H, W) float in [0, 1], by the `factors` of `color_factors`.

    `gray` is that of `gray_shares`. For pictures without partners, call it once for each side: `augment(x, x, ...)`.
    """
    brightness, contrast, saturation = factors
    if config.brightness:
        source, target = _blend(source, 0, brightness), _blend(target, 0, brightness)
    if config.contrast:
        mean = _gray(source, gray).mean((1, 2, 3), keepdim=True)
        source, target = _blend(source, mean, contrast), _blend(target, mean, contrast)
    if config.saturation:
        source = _blend(source, _gray(source, gray), saturation)
        target = _blend(target, _gray(target, gray), saturation)
    return source, target


def _blend(images: Tensor, other: Tensor | int, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def _gray(images: Tensor, shares: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W)."""
    return (images * shares).sum(1, keepdim=True)
