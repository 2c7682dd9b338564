"""Two degradations of paper 001 (pix2pix): a blur, and what a camera with a small range of light records."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from enhance.data.reading.srgb import LIGHT, encode
from enhance.data.storage.store import Pixels

_BLUR_REACH = 4.0  # standard deviations after which the blur is cut off


@dataclass(frozen=True, kw_only=True, slots=True)
class Blur:
    """A Gaussian blur of standard deviation `sigma_px`, as in the paper's deblurring (section 3.3, sigma 1).

    It is computed on the encoded sRGB values, as picture editors and the usual libraries do; a lens blurs linear light.
    At the edge of the photograph the picture is mirrored. Values are rounded to 8 bits.
    """

    sigma_px: float = 1.0

    CODE: ClassVar[tuple[str, ...]] = ("degradations/blur_exposure.py", "reading/srgb.py")

    @property
    def reach_px(self) -> int:
        """How far, along either axis, a pixel of the photograph can influence the result."""
        return math.ceil(_BLUR_REACH * self.sigma_px)

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """The blurred (H, W, 3) photograph; nothing is random."""
        sigma_px = (self.sigma_px, self.sigma_px, 0)
        blurred = ndimage.gaussian_filter(photograph.astype(np.float32), sigma_px, mode="reflect", truncate=_BLUR_REACH)
        return (np.rint(blurred).astype(np.uint8),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposures:
    """Three exposures of the photograph by a camera that holds fewer stops of light than the photograph does.

    A stand-in for the LDR-HDR pairs of the paper (section 3.4: exposures -2, 0 and +2) that needs no HDR picture. The
    photograph is taken for the scene. Its linear light, times 2**(lost_stops + exposure), is clipped at full light and
    rounded to `sensor_bits` bits, and stored as 8-bit sRGB. So even at exposure 0 the highlights are lost, down to
    `lost_stops` stops below white, without which input and target would be one picture; at +2 two stops more are, and
    at -2 none, but the sensor's few steps cannot tell the shadows apart.

    What this is not: a photograph has no light above its own white, so a network learns to bring back a photograph's
    range, not an HDR scene's. Both numbers are this project's choice, not the paper's. With them the demo's photographs
    are 14.9, 22.4 and 9.5 dB (PSNR, mean) away from themselves at -2, 0 and +2; the paper's pairs 19.1 dB on average.
    """

    exposures_stops: tuple[int, ...] = (-2, 0, 2)
    lost_stops: float = 0.5
    sensor_bits: int = 6

    CODE: ClassVar[tuple[str, ...]] = ("degradations/blur_exposure.py", "reading/srgb.py")

    @property
    def reach_px(self) -> int:
        """Every pixel keeps to itself."""
        return 0

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """One (H, W, 3) picture for each exposure, in their order; nothing is random."""
        return tuple(self._curve(stops)[photograph] for stops in self.exposures_stops)

    def _curve(self, stops: int) -> Pixels:
        """What becomes of each 8-bit value."""
        steps = 2**self.sensor_bits - 1
        light = np.clip(LIGHT * 2 ** (self.lost_stops + stops), 0, 1)
        return np.rint(255 * encode(np.rint(light * steps) / steps)).astype(np.uint8)
