"""Reading picture files strictly: a file is read completely and correctly, or rejected with a reason.

PNG checksums are verified. JPEG has none, so a flipped bit among its pixels can go unnoticed.
"""

import contextlib
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from enhance.data.reading.colors import ColorError, to_srgb
from enhance.data.reading.folders import EXAMPLES, is_special, printable
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Patches, Pixels

CODE = ("reading/pictures.py", "reading/colors.py", "reading/srgb.py")  # what determines the pixels of a file
MAX_PIXELS = 80_000_000  # more than common phones and cameras take; decoded, that is 240 MB

# What Pillow raises for broken files, and its warnings if a program has made them errors.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError,
    struct.error, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip


_MAGIC = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF or raw",
    b"MM\0*": "TIFF or raw", b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"%PDF": "PDF",
}  # fmt: skip


class PictureError(ValueError):
    """A picture that cannot be used: `reason` is a word or two for counting, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A picture as read from a file.

    pixels: (H, W, 3) uint8, sRGB.
    changes: what was done to the file's values, as labels for counting, such as "reduced to 1600 px".
    """

    pixels: Pixels
    changes: tuple[str, ...] = ()


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Turn Pillow's warning about huge pictures into an error, and silence its other warnings, inside this context.

    The others concern metadata (the malformed MPO index that many phones write, EXIF entries) and cost no pixel;
    missing pixels are errors anyway. Enter it from one thread only, around all reading; other threads may read inside.
    Raises DataError if other code has told Pillow to accept truncated files, because those could not be detected.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on; broken pictures could not be told from whole ones")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        yield


def read_patch(path: Path, size_px: int) -> Picture:
    """Read a square RGB JPEG of exactly `size_px` and convert it to sRGB. Raises PictureError."""
    with _open_picture(path, "JPEG") as image:
        if image.size != (size_px, size_px):
            raise PictureError("wrong size", f"{image.width}x{image.height} px, not {size_px}x{size_px}")
        if image.mode != "RGB":
            raise PictureError("not RGB", f"mode {image.mode}")
        return _in_srgb(np.asarray(image), image)


def read_picture(path: Path, max_side_px: int | None = None) -> Picture:
    """Read a JPEG or PNG photograph: the right way up (EXIF), 8-bit sRGB, no side longer than `max_side_px`.

    An alpha channel or a transparent color is dropped if the picture is opaque everywhere. Raises PictureError, with
    "not RGB" for palettes and for grayscale, which has no color to learn.
    """
    with _open_picture(path, "JPEG", "PNG") as image:
        if image.mode not in ("RGB", "RGBA"):
            raise PictureError("not RGB", f"mode {image.mode}")
        values = _values(image, path)
        _refuse_transparency(values, image)
        picture = _in_srgb(values[..., :3], image)
        upright = Image.fromarray(picture.pixels)
        # exif_transpose finds the orientation in `info`, which fromarray leaves empty.
        upright.info = image.info
        upright = ImageOps.exif_transpose(upright)
        changes = picture.changes
        if max_side_px and max(upright.size) > max_side_px:
            upright.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
            changes += (f"reduced to {max_side_px} px",)
        return Picture(np.asarray(upright), changes)


def read_photograph(path: Path, max_side_px: int | None = None) -> Pixels:
    """The pixels of `read_picture`, for callers that do not report changes. Raises PictureError."""
    return read_picture(path, max_side_px).pixels


def _in_srgb(values: Patches, image: Image.Image) -> Picture:
    try:
        pixels, space = to_srgb(values, image)
    except ColorError as error:
        raise PictureError("unknown colors", str(error)) from error
    changes = (f"converted from {space} to sRGB",) if space else ()
    return Picture(pixels, changes + (("16 bits rounded to 8",) if values.dtype == np.uint16 else ()))


def _values(image: ImageFile.ImageFile, path: Path) -> Patches:
    """The (H, W, 3 or 4) values of an open picture: uint16 for a PNG of 16 bits, else uint8.

    Of 16 bits Pillow keeps only the high byte. Told that they are little-endian, it keeps the low one instead.
    """
    deep = image.format == "PNG" and str(image.tile[0].args).endswith(";16B")
    high: Pixels = np.asarray(image)
    if not deep:
        return high
    with Image.open(path, formats=("PNG",)) as again:
        again.tile = [tile._replace(args=str(tile.args).replace(";16B", ";16L")) for tile in again.tile]
        low: Pixels = np.asarray(again)
    return np.asarray((high.astype(np.uint16) << 8) + low, np.uint16)


def _refuse_transparency(values: Patches, image: Image.Image) -> None:
    top = np.iinfo(values.dtype).max
    if values.shape[2] == 4 and values[..., 3].min() < top:
        raise PictureError("transparent", "its alpha channel is not opaque")
    # PNG's tRNS: one color, of the file's depth, whose pixels are transparent.
    color = image.info.get("transparency")
    if color is not None and (values[..., :3] == np.asarray(color)).all(axis=-1).any():
        raise PictureError("transparent", f"its color {color} marks transparent pixels")


@contextlib.contextmanager
def _open_picture(path: Path, *formats: str) -> Iterator[ImageFile.ImageFile]:
    """The picture, checked but not decoded; errors while decoding it inside the context become PictureErrors too."""
    if is_special(path):
        raise PictureError("unreadable", "not a regular file")
    try:
        with Image.open(path, formats=formats) as image:
            image.verify()  # checks a PNG's checksums, which decoding does not, but leaves the image unusable
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError("too large", f"{image.width}x{image.height} px, more than {MAX_PIXELS:,} pixels")
            yield image
    except PictureError:
        raise
    # Raised by Image.open itself, whose limit of 89,478,485 pixels lies a little above ours.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError("too large", f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise PictureError("unreadable", f"{_format_of(path)}, not {' or '.join(formats)}") from None
    except _BROKEN as error:
        raise PictureError(
            "unreadable", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


def _format_of(path: Path) -> str:
    """The format of a file by its first bytes, whatever its name says."""
    with path.open("rb") as file:
        start = file.read(16)
    if start[4:8] == b"ftyp":  # ISO media: the brand says which
        return {b"avif": "AVIF", b"avis": "AVIF"}.get(start[8:12], "HEIC or another ISO media file")
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "an unknown format")


class Tally:
    """Counts names by reason, and keeps the first few of each reason as examples."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Count `name` under `reason`."""
        self._counts[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(printable(name))

    def add_all(self, reasons: Iterable[str], name: str) -> None:
        """Count `name` under each of `reasons`."""
        for reason in reasons:
            self.add(reason, name)

    def update(self, other: "Tally") -> None:
        """Add the counts and examples of another tally."""
        self._counts.update(other._counts)
        for reason, names in other._examples.items():
            mine = self._examples.setdefault(reason, [])
            mine += names[: EXAMPLES - len(mine)]

    def refuse_above(self, share: float, of: int, things: str) -> None:
        """Raise DataError if more than `share` of the `of` things were counted; `things` says what and where."""
        if self.total > share * of:
            raise DataError(f"{self.total} of {of} {things} cannot be used, more than {share:.0%}: {self.words()}")

    @property
    def total(self) -> int:
        """The number of names counted, over all reasons."""
        return self._counts.total()

    def summary(self) -> dict[str, Any]:
        """{"count": number, "examples": first names} by reason."""
        return {reason: self.of(reason) for reason in self._counts}

    def of(self, reason: str) -> dict[str, Any]:
        """The entry of one reason, with count 0 if it never occurred."""
        return {"count": self._counts[reason], "examples": self._examples.get(reason, [])}

    def words(self) -> str:
        """The summary as one line of text."""
        parts = [
            f"{n} {reason} ({self._examples[reason][0]}{', ...' if n > 1 else ''})"
            for reason, n in self._counts.items()
        ]
        return "; ".join(parts)
