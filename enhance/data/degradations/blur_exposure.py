"""Two degradations from Jain et al. ("Pix2Pix based Image Enhancement"): Gaussian blur, and exposures by a camera with
little dynamic range.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from enhance.data.reading.srgb import LIGHT, encode
from enhance.data.storage.store import Pixels

_BLUR_REACH = 4.0  # in standard deviations; the blur is cut off there


@dataclass(frozen=True, kw_only=True, slots=True)
class Blur:
    """A Gaussian blur of standard deviation `sigma_px`, as in the paper's deblurring task (section 3.3, sigma 1).

    It works on encoded sRGB values, like image editors and common libraries; a real lens blurs linear light. Borders
    are mirrored, values rounded to 8 bits.
    """

    sigma_px: float = 1.0

    CODE: ClassVar[tuple[str, ...]] = ("degradations/blur_exposure.py", "reading/srgb.py")

    @property
    def reach_px(self) -> int:
        """How far a pixel of the photograph can influence the result, along either axis."""
        return math.ceil(_BLUR_REACH * self.sigma_px)

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """Blur a (H, W, 3) photograph; nothing is random."""
        # 0 along the last axis, which is color.
        sigma_px = (self.sigma_px, self.sigma_px, 0)
        blurred = ndimage.gaussian_filter(photograph.astype(np.float32), sigma_px, mode="reflect", truncate=_BLUR_REACH)
        return (np.rint(blurred).astype(np.uint8),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposures:
    """Three exposures of the photograph by a camera with less dynamic range than the photograph.

    A stand-in for the paper's LDR-HDR pairs (section 3.4: exposures -2, 0 and +2) that needs no HDR pictures: it treats
    the photograph as the scene. Linear light is multiplied by 2**(lost_stops + exposure), clipped at 1, rounded to
    `sensor_bits` bits and stored as 8-bit sRGB. Even exposure 0 therefore loses the highlights, everything within
    `lost_stops` stops of white; otherwise input and target would be the same picture. Exposure +2 loses two stops more.
    Exposure -2 loses none, but the sensor has too few levels to distinguish the shadows.

    Limits: a photograph has no light above its own white, so a network learns to restore the range of a photograph, not
    that of an HDR scene. Both numbers are our choice, not the paper's. With them, the demo's photographs are 14.9, 22.4
    and 9.5 dB (mean PSNR) away from their originals at -2, 0 and +2; the paper's pairs average 19.1 dB.
    """

    exposures_stops: tuple[int, ...] = (-2, 0, 2)
    lost_stops: float = 0.5
    sensor_bits: int = 6

    CODE: ClassVar[tuple[str, ...]] = ("degradations/blur_exposure.py", "reading/srgb.py")

    @property
    def reach_px(self) -> int:
        """0: no pixel influences another."""
        return 0

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """One (H, W, 3) picture per exposure, in order; nothing is random."""
        return tuple(self._curve(stops)[photograph] for stops in self.exposures_stops)

    def _curve(self, stops: int) -> Pixels:
        """A lookup table for 8-bit values."""
        steps = 2**self.sensor_bits - 1
        light = np.clip(LIGHT * 2 ** (self.lost_stops + stops), 0, 1)
        return np.rint(255 * encode(np.rint(light * steps) / steps)).astype(np.uint8)
