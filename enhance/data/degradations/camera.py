"""The camera simulator: what a poor phone camera would have made of a good photograph.

The steps follow a real camera: the hand shifts the scene, the lens blurs it and darkens the corners, the sensor adds
noise, the processor changes colors and tones, and JPEG compresses the result. All steps before the tones work in linear
light.
"""

import dataclasses
import io
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from enhance.config import Domain
from enhance.data.reading.srgb import LIGHT, Light, encode
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels

NODE_PX = 100  # spacing of the random shifts: about one patch, so that each patch has its own, nearly constant one
_BLUR_REACH = 4.0  # in standard deviations; the blur is cut off there
_JPEG_REACH_PX = 15  # with chroma subsampling, a JPEG block is 16 px wide
_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # of linear sRGB, ITU-R BT.709


def _parameter(default: float, minimum: float, maximum: float) -> Any:
    domain = Domain(kind=type(default), minimum=minimum, maximum=maximum)
    return dataclasses.field(default=default, metadata={"domain": domain})


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A phone camera. By default it is about as far from the good camera as the phones in DPED are.

    shift_px: standard deviation of the misalignment along each axis, in px, 0 to 5; it varies smoothly in the picture.
    max_shift_px: largest shift of any point, in px, 0 to 5 (in DPED's pairs, at most 5).
    blur_px: standard deviation of the optical blur, in px, 0 to 5.
    vignetting: share of the light lost in the corners, 0 to 0.9.
    exposure_stops: brightness, in powers of two, -2 to 2.
    shot_noise: standard deviation of the noise at full light, as a share of full light, 0 to 0.2; proportional to the
        square root of the light.
    read_noise: standard deviation of the noise in the dark, as a share of full light, 0 to 0.1.
    red_gain, blue_gain: white balance in linear light relative to green, 0.5 to 2.
    saturation: factor on the distance of each color from the gray of equal luminance, 0 to 2.
    gamma: exponent on the encoded values in [0, 1], 0.5 to 2; above 1 it darkens the midtones.
    contrast: slope of the encoded values around middle gray, 0.5 to 1.5.
    jpeg_quality: 1 to 100; 0 skips JPEG.

    Raises DataError listing every problem.
    """

    shift_px: float = _parameter(0.9, 0, 5)
    max_shift_px: float = _parameter(5.0, 0, 5)
    blur_px: float = _parameter(0.8, 0, 5)
    vignetting: float = _parameter(0.25, 0, 0.9)
    exposure_stops: float = _parameter(-0.3, -2, 2)
    shot_noise: float = _parameter(0.02, 0, 0.2)
    read_noise: float = _parameter(0.002, 0, 0.1)
    red_gain: float = _parameter(0.85, 0.5, 2)
    blue_gain: float = _parameter(1.15, 0.5, 2)
    saturation: float = _parameter(0.7, 0, 2)
    gamma: float = _parameter(1.1, 0.5, 2)
    contrast: float = _parameter(0.85, 0.5, 1.5)
    jpeg_quality: int = _parameter(85, 0, 100)

    CODE: ClassVar[tuple[str, ...]] = ("degradations/camera.py", "reading/srgb.py")

    def __post_init__(self) -> None:
        domains = {field.name: field.metadata["domain"] for field in dataclasses.fields(self)}
        problems = [p for name, domain in domains.items() if (p := domain.problem(name, getattr(self, name)))]
        if problems:
            raise DataError("invalid camera:\n" + "\n".join(f"  - {problem}" for problem in problems))

    @classmethod
    def ideal(cls) -> "Camera":
        """A camera that returns the photograph unchanged."""
        return cls(
            shift_px=0, blur_px=0, vignetting=0, exposure_stops=0, shot_noise=0, read_noise=0,
            red_gain=1, blue_gain=1, saturation=1, gamma=1, contrast=1, jpeg_quality=0,
        )  # fmt: skip

    @property
    def reach_px(self) -> int:
        """How far a pixel of the photograph can influence the result, along either axis."""
        shift_px = math.ceil(self.max_shift_px) + 1 if self.shift_px else 0
        blur_px = math.ceil(_BLUR_REACH * self.blur_px)
        return shift_px + blur_px + (_JPEG_REACH_PX if self.jpeg_quality else 0)

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """Degrade a photograph into one picture."""
        return (self.photograph(photograph, rng),)

    def photograph(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """This camera's picture of a scene, given as (H, W, 3) uint8 sRGB: same shape, random by `rng` only."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise DataError(f"a photograph must be uint8 of shape (H, W, 3), not {image.dtype} of {image.shape}")
        # Both are always drawn, so that changing one parameter does not change the randomness of another.
        nodes = rng.standard_normal((2, image.shape[0] // NODE_PX + 2, image.shape[1] // NODE_PX + 2))
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        light = self._lens(self._hand(LIGHT[image], nodes))
        return self._jpeg(self._tones(self._colors(self._sensor(light, noise))))

    def _hand(self, light: Light, nodes: npt.NDArray[np.float64]) -> Light:
        if not self.shift_px or not self.max_shift_px:
            return light
        shifts = nodes * self.shift_px
        # Longer shifts are shortened and keep their direction; 1e-9 keeps a shift of 0 from dividing by 0.
        shifts *= np.minimum(1, self.max_shift_px / np.maximum(np.hypot(*shifts), 1e-9))
        here = np.mgrid[: light.shape[0], : light.shape[1]].astype(np.float32)
        # Linear interpolation: an average of shifts is never longer than the longest, so max_shift_px holds in between.
        there = here + np.stack([ndimage.map_coordinates(axis, here / NODE_PX, order=1) for axis in shifts])
        channels = [ndimage.map_coordinates(light[..., i], there, order=1, mode="nearest") for i in range(3)]
        return np.stack(channels, axis=-1).astype(np.float32)

    def _lens(self, light: Light) -> Light:
        if self.blur_px:
            sigma_px = (self.blur_px, self.blur_px, 0)
            light = np.asarray(ndimage.gaussian_filter(light, sigma_px, mode="nearest", truncate=_BLUR_REACH))
        rows = np.linspace(-1, 1, light.shape[0], dtype=np.float32)[:, None, None]
        columns = np.linspace(-1, 1, light.shape[1], dtype=np.float32)[None, :, None]
        aspect = light.shape[1] / light.shape[0]
        radius2 = (rows**2 + (aspect * columns) ** 2) / (1 + aspect**2)  # 1 in the corners
        return np.asarray(light * (1 - self.vignetting * radius2), np.float32)

    def _sensor(self, light: Light, noise: Light) -> Light:
        light = np.clip(light * 2**self.exposure_stops, 0, 1)
        # Gaussian instead of Poisson noise: the number of its draws does not depend on the light.
        return np.asarray(light + noise * np.sqrt(self.shot_noise**2 * light + self.read_noise**2), np.float32)

    def _colors(self, light: Light) -> Light:
        balanced = light * np.array([self.red_gain, 1, self.blue_gain], dtype=np.float32)  # may exceed 1: clipped later
        gray = (balanced * _LUMA).sum(axis=-1, keepdims=True)
        return np.asarray(gray + self.saturation * (balanced - gray), np.float32)

    def _tones(self, light: Light) -> Pixels:
        light = np.clip(light, 0, 1)
        toned = 0.5 + self.contrast * (encode(light) ** self.gamma - 0.5)
        return np.asarray(np.rint(255 * np.clip(toned, 0, 1)), np.uint8)

    def _jpeg(self, picture: Pixels) -> Pixels:
        if not self.jpeg_quality:
            return picture
        stored = io.BytesIO()
        Image.fromarray(picture).save(stored, format="JPEG", quality=self.jpeg_quality)
        return np.asarray(Image.open(stored))
