"""DPED's color term: the squared difference of blurred images, which sees colors and ignores small shifts.

On the 240 DPED training pairs (iPhone, 100 px), with the unprocessed phone photo as output: 0.0261 with the blur of the
code (392 when summed as the authors do), 0.0292 with the blur of the paper.

The paper claims, for Canon patches against shifted copies: nearly insensitive up to 2 px; at 3 to 5 px, 5 to 10 times
below MSE; similar to MSE beyond that. Measured on the 240 Canon patches, the code's blur reaches at 2 px 1.9 % of its
value at 20 px (MSE: 16 %), and is 13, 9.7 and 7.5 times below MSE at 3, 4 and 5 px and 2.2 times at 20 px. The formula
printed in the paper does not behave as the paper claims: 4.9 %, and 3.3, 2.7 and 2.3 times. So the default is "code".
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

TAPS = 21
_PAPER_AMPLITUDE, _PAPER_S = 0.053, 3.0
_CODE_LIMIT = 19 / 6  # three deviations plus half a bin: 3.167


def code_taps() -> list[float]:
    """The one-dimensional blur of the authors' code: 21 taps that sum to 1, an effective deviation of 4.34 px.

    The taps come from the probabilities of 21 equal bins of the standard normal over [-3.167, 3.167]. The authors take
    the square root of their outer product, which equals the outer product of the square roots. That widens the blur.
    """
    edges = [_CODE_LIMIT * (2 * edge / TAPS - 1) for edge in range(TAPS + 1)]
    below = [math.erf(edge / math.sqrt(2)) / 2 for edge in edges]
    roots = [math.sqrt(right - left) for left, right in pairwise(below)]
    return [root / sum(roots) for root in roots]


def paper_taps() -> list[float]:
    """The one-dimensional factor of the paper's formula A exp(-k^2/2s - l^2/2s), A = 0.053 and s = 3, as printed.

    It divides by 2s, not 2s^2, so the deviation is 1.73 px. It is not normalized: the 21 x 21 taps sum to 0.999.
    """
    return [math.sqrt(_PAPER_AMPLITUDE) * math.exp(-((tap - TAPS // 2) ** 2) / (2 * _PAPER_S)) for tap in range(TAPS)]


BLURS = {"code": code_taps, "paper": paper_taps}


class Blur:
    """A separable blur of (..., H, W) images with zero SAME padding.

    Each pass is a product with a banded matrix, cached per size. With 21 taps this is 3 to 30 times faster on a CPU
    than a depthwise convolution, forward and backward, and needs no special case at the borders.
    """

    def __init__(self, taps: list[float], device: torch.device | str) -> None:
        self._taps = torch.tensor(taps, dtype=torch.float32, device=device)
        self._matrices: dict[int, Tensor] = {}

    def __call__(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return self._matrix(height) @ images @ self._matrix(width)  # no transpose: symmetric taps, symmetric matrix

    def _matrix(self, size_px: int) -> Tensor:
        if size_px not in self._matrices:
            ticks = torch.arange(size_px, device=self._taps.device)
            # Entry (i, j) is the tap that pixel j contributes to pixel i; outside the taps it is 0.
            tap = ticks[:, None] - ticks[None] + len(self._taps) // 2
            inside = (tap >= 0) & (tap < len(self._taps))
            self._matrices[size_px] = self._taps[tap.clamp(0, len(self._taps) - 1)] * inside
        return self._matrices[size_px]


class ColorLoss:
    """Mean over all elements of the squared difference of two blurred (N, C, H, W) images: a tensor of shape ().

    The authors sum over all elements and divide by 2N, so on 3 x 100 x 100 patches their value is 15,000 times this
    one, and their weight of 0.5 corresponds to 7,500 here.
    """

    def __init__(self, blur: str, device: torch.device | str = "cpu") -> None:
        self._blur = Blur(BLURS[blur](), device)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        # Blurring is linear, so one blur of the difference is enough. bfloat16 would lose its small values.
        with torch.autocast(output.device.type, enabled=False):
            return self._blur(output.float() - target.float()).square().mean()
