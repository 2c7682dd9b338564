"""Samples: scores and encoded outputs of a trained network for single pictures. Free of torch.

Validation pictures are stored as PNG, so that errors can be measured on them; those larger than `SAMPLE_PX` are cropped
to their center. Whole photographs are for looking at, and stored as JPEG, at most `PHOTO_PX` long. Both have 8 bits.
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
"""The longest side of a photograph. DPED's network needs 1 to 2 GB for 1280x720 in float32, and processing in tiles
would change the output, since instance norms and U-Nets see the whole picture."""

# The highest that Pillow's documentation advises: above it, files grow for hardly any gain.
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Photo:
    """A whole photograph to enhance: `image` names it by file name and content, `jpeg` is the encoded picture.

    Networks are given `pixels`, which are decoded from `jpeg`: the picture that the ledger keeps as the original.
    """

    image: str
    jpeg: bytes

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        return np.array(Image.open(io.BytesIO(self.jpeg)))


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """The samples to take from a trial that completes; with `fixed` 0 and no photos, none.

    `fixed` is the number of validation pictures whose outputs are kept, the same ones for every trial, spread over the
    set. The trial's best and worst picture by PSNR are kept as well, and the scores of all pictures.
    """

    fixed: int = 0
    photos: tuple[Photo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a network made of one picture.

    image: "validation/N" for index N of the store's validation set, or the name of a `Photo`.
    scores: of `enhance.training.metrics.evaluate` and of the training rule; empty for photographs.
    output: the encoded picture; None if it is not kept.
    fixed: whether every trial keeps this picture.
    failure: why a photograph has no output.
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
    """The index in the validation set that `image` names; None for a photograph."""
    kind, _, index = image.partition("/")
    return int(index) if kind == "validation" else None


def read_photo(path: Path) -> Photo:
    """Read the photograph at `path`, upright, its longest side at most `PHOTO_PX`. Raises PictureError."""
    with strict_pillow():
        encoded = jpeg(read_photograph(path, PHOTO_PX))
    # With a digest, because photographs of one name may lie in different folders.
    return Photo(f"photo/{path.name}#{hashlib.sha256(encoded).hexdigest()[:8]}", encoded)


def fixed_places(count: int, fixed: int) -> set[int]:
    """The indices of the pictures that every trial keeps: `fixed` of `count`, spread evenly."""
    fixed = min(fixed, count)
    # The middle of each of `fixed` equal parts, in whole numbers. With `fixed` 0 the set is empty: nothing is divided.
    return {(2 * part + 1) * count // (2 * fixed) for part in range(fixed)}


def extreme_places(psnr_db: list[float]) -> set[int]:
    """The indices of the best and the worst picture by PSNR."""
    return {int(np.argmax(psnr_db)), int(np.argmin(psnr_db))}


def png(pixels: Pictures) -> bytes:
    """Encode (H, W, 3) uint8 or uint16 as an 8-bit PNG, cropped to the center `SAMPLE_PX` if larger."""
    # Cropped, not reduced: resampling would change the errors that the picture is kept to show.
    height, width = pixels.shape[:2]
    down, right = (max(0, size - SAMPLE_PX) // 2 for size in (height, width))
    middle = pixels[down : down + SAMPLE_PX, right : right + SAMPLE_PX]
    if middle.dtype != np.uint8:
        middle = np.rint(middle / 257.0).astype(np.uint8)  # 65535 = 257 * 255
    return _encode(middle, format="PNG")


def jpeg(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) uint8 as JPEG without chroma subsampling, so that colors keep their resolution."""
    return _encode(pixels, format="JPEG", quality=JPEG_QUALITY, subsampling=0)


def _encode(pixels: Pixels, **options: Any) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(packed, **options)
    return packed.getvalue()
