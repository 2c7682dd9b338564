"""Bringing a file's colors to sRGB: by its ICC profile, PNG's gAMA and cHRM, or EXIF's mark of Adobe RGB.

A file that says nothing about its colors is taken as sRGB, as browsers do.
"""

import functools
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from enhance.data.reading.srgb import encode
from enhance.data.storage.store import Patches, Pixels

Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue, as cHRM has them

SRGB: Chromaticities = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_RGB: Chromaticities = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_EXPONENT = 563 / 256  # Adobe RGB (1998), section 4.3.4.2
USUAL_EXPONENT = 2.2

SAME_LEVELS = 1  # a profile that moves no color any farther is sRGB under one of its many names
SAME_GAMMA = 0.05  # libpng's own threshold: 1/2.2 is how PNG files say sRGB
SAME_CHROMATICITY = 0.01

_EXIF_IFD, _INTEROP_IFD, _COLOR_SPACE, _INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 1
_STRIP_ROWS = 256  # converted at a time: as floats, a whole photograph would fill a gigabyte


class ColorError(ValueError):
    """Raised for a file whose colors cannot be determined."""


def to_srgb(values: Patches, image: Image.Image) -> tuple[Pixels, str]:
    """Convert the (H, W, 3) uint8 or uint16 `values` of an opened `image` to 8-bit sRGB; also name their own space.

    The name is "" if the values are sRGB already; those are only rounded. Colors outside sRGB are clipped, and white
    stays white (relative colorimetric). Raises ColorError.
    """
    profile = image.info.get("icc_profile")
    if profile:
        name, transform = _transform_of(profile)
        pixels = eight_bits(values)
        return (_applied(transform, pixels), name) if transform else (pixels, "")
    space = _space_of(image)
    return (space.to_srgb(values), space.name) if space else (eight_bits(values), "")


def eight_bits(values: Patches) -> Pixels:
    """uint8 or uint16 values as uint8, rounded: the high byte alone would be up to a level too low."""
    return np.asarray(values if values.dtype == np.uint8 else (values.astype(np.uint32) + 128) // 257, np.uint8)


@functools.lru_cache(maxsize=16)  # the pictures of one folder share a few profiles
def _transform_of(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The profile's name, and the transform from its colors to sRGB, or None if they are sRGB already."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB", intent)
        name = " ".join(ImageCms.getProfileDescription(source).split())
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise ColorError(f"its ICC profile does not describe RGB colors: {error}") from error
    # A profile's name says little. Whether it is sRGB shows in where it takes 729 colors from the whole cube.
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.abs(_applied(transform, lattice).astype(int) - lattice).max()
    return name or "an unnamed profile", transform if moved > SAME_LEVELS else None


def _applied(transform: ImageCms.ImageCmsTransform, pixels: Pixels) -> Pixels:
    return np.asarray(transform.apply(Image.fromarray(pixels)))


@dataclass(frozen=True, slots=True)
class _Space:
    """RGB whose linear light is value ** exponent."""

    name: str
    exponent: float
    chromaticities: Chromaticities

    def to_srgb(self, values: Patches) -> Pixels:
        top = np.iinfo(values.dtype).max
        light = ((np.arange(top + 1) / top) ** self.exponent).astype(np.float32)  # of each value
        matrix = np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(self.chromaticities)
        result = np.empty(values.shape, np.uint8)
        for top_row in range(0, len(values), _STRIP_ROWS):
            rows = slice(top_row, top_row + _STRIP_ROWS)
            linear = light[values[rows]] @ matrix.T.astype(np.float32)
            result[rows] = np.rint(255 * encode(linear.clip(0, 1)))
        return result


def _space_of(image: Image.Image) -> _Space | None:
    """The space that a file without a profile declares; None for sRGB."""
    info = image.info
    if "srgb" in info:  # PNG: it overrides gAMA and cHRM
        return None
    if "gamma" in info or "chromaticity" in info:
        return _png_space(info.get("gamma", 1 / USUAL_EXPONENT), info.get("chromaticity", SRGB))
    exif = image.getexif()
    # DCF 2.0 marks Adobe RGB by "R03", and some cameras add no profile. Others write 2 for the color space.
    if exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX) == "R03" or exif.get_ifd(_EXIF_IFD).get(_COLOR_SPACE) == 2:
        return _Space("Adobe RGB (EXIF)", ADOBE_EXPONENT, ADOBE_RGB)
    return None


def _png_space(gamma: float, chromaticities: Chromaticities) -> _Space | None:
    if gamma <= 0 or min(chromaticities[1::2]) <= 0:
        raise ColorError(f"gAMA {gamma}, cHRM {chromaticities}: gamma and every y must be above 0")
    off = np.abs(np.subtract(chromaticities, SRGB))
    if off[:2].max() > SAME_CHROMATICITY:
        raise ColorError(f"the white in its cHRM is {chromaticities[:2]}, not sRGB's {SRGB[:2]}")
    usual_colors = bool(off.max() <= SAME_CHROMATICITY)
    if usual_colors and abs(gamma * USUAL_EXPONENT - 1) <= SAME_GAMMA:
        return None
    return _Space(f"gAMA {gamma:g}" + ("" if usual_colors else " and cHRM"), 1 / gamma, chromaticities)


def _to_xyz(chromaticities: Chromaticities) -> npt.NDArray[np.float64]:
    """The (3, 3) matrix from linear RGB to XYZ, white having Y = 1."""
    x, y = np.reshape(chromaticities, (4, 2)).T
    white, *primaries = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    columns = np.stack(primaries, axis=1)
    return np.asarray(columns * np.linalg.solve(columns, white))
