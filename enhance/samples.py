"""Samples: what a trained network made of single pictures, as scores and as encoded pictures. Knows no torch.

Validation pictures are PNG, so that errors can be counted on them; a picture larger than `SAMPLE_PX` is cut to its
middle. Whole photographs are JPEG, no longer than `PHOTO_PX`: they are there to be looked at. Both are 8 bits deep.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from enhance.data.batches import Pictures
from enhance.data.reading.pictures import read_photograph, strict_pillow
from enhance.data.storage.store import Pixels

SAMPLE_PX = 128
PHOTO_PX = 1280
"""The longest side of a photograph: DPED's network takes 1 to 2 GB for 1280x720 in float32, and tiles would not do,
since instance norms and U-Nets look at the whole."""

JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Photo:
    """A whole photograph for networks to enhance: `image` names it by file name and content, `jpeg` is the picture."""

    image: str
    jpeg: bytes

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3), RGB."""
        return np.array(Image.open(io.BytesIO(self.jpeg)))


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """The samples that are wanted of a trial that completes; `fixed` 0 and no photo: none.

    `fixed` is the number of validation pictures whose outputs are kept: the same for every trial, spread over the
    set. The trial's best and worst by PSNR are kept beside them, and the scores of all.
    """

    fixed: int = 0
    photos: tuple[Photo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a network made of one picture.

    image: "validation/N", N being the index in the store's validation set, or the name of a `Photo`.
    scores: those of `enhance.training.metrics.evaluate` and of the rule; photographs have none.
    output: the encoded picture; None where it is not kept.
    fixed: whether every trial keeps it.
    failure: why there is no output for a photograph.
    """

    image: str
    scores: dict[str, float]
    output: bytes | None
    fixed: bool = True
    failure: str = ""


def validation_image(index: int) -> str:
    """The name of a validation picture."""
    return f"validation/{index}"


def validation_index(image: str) -> int | None:
    """The place in the validation set that `image` names; None for a photograph."""
    kind, _, index = image.partition("/")
    return int(index) if kind == "validation" else None


def read_photo(path: Path) -> Photo:
    """The photograph at `path`, upright, its longest side at most `PHOTO_PX`. Raises PictureError."""
    with strict_pillow():
        encoded = jpeg(read_photograph(path, PHOTO_PX))
    return Photo(f"photo/{path.name}#{hashlib.sha256(encoded).hexdigest()[:8]}", encoded)


def fixed_places(count: int, fixed: int) -> set[int]:
    """Which of `count` pictures are kept of every trial: `fixed` of them, spread evenly."""
    fixed = min(fixed, count)
    return {(2 * part + 1) * count // (2 * fixed) for part in range(fixed)}


def extreme_places(psnr_db: list[float]) -> set[int]:
    """Which pictures are the best and the worst by PSNR."""
    return {int(np.argmax(psnr_db)), int(np.argmin(psnr_db))}


def png(pixels: Pictures) -> bytes:
    """(H, W, 3) uint8 or uint16 as PNG of 8 bits, cut to its middle where it is larger than `SAMPLE_PX`."""
    height, width = pixels.shape[:2]
    down, right = (max(0, size - SAMPLE_PX) // 2 for size in (height, width))
    middle = pixels[down : down + SAMPLE_PX, right : right + SAMPLE_PX]
    if middle.dtype != np.uint8:
        middle = np.rint(middle / 257.0).astype(np.uint8)
    return _encoded(middle, format="PNG")


def jpeg(pixels: Pixels) -> bytes:
    """(H, W, 3) as JPEG with whole colors."""
    return _encoded(pixels, format="JPEG", quality=JPEG_QUALITY, subsampling=0)


def _encoded(pixels: Pixels, **how: Any) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(packed, **how)
    return packed.getvalue()
