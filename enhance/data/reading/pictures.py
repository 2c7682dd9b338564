"""Reading picture files with care: a file is either read whole and right, or refused with a reason.

PNG has checksums, which are looked at. JPEG has none: a flipped bit within its pixels can pass as another picture.
"""

import contextlib
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels

MAX_PIXELS = 80_000_000  # beyond any phone or camera of today's common kind; decoded, 240 MB
EXAMPLES = 5

# What Pillow raises on broken files, its own warnings among them (made errors by `strict_pillow`).
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError,
    struct.error, zlib.error, Warning, Image.DecompressionBombError,
)  # fmt: skip


class PictureError(ValueError):
    """One picture that cannot be used: `reason` is a word or two to count by, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Within it Pillow's warnings are errors, so that a doubtful file is refused and not remarked upon.

    Enter it in one thread only, around everything that reads; readers in other threads may run inside.
    Raises DataError where other code has made Pillow accept truncated files, for then nobody could tell.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is switched on; broken pictures would pass for whole ones")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        yield


def read_patch(path: Path, size_px: int) -> Pixels:
    """A square RGB JPEG of exactly `size_px`, as uint8 (H, W, 3). Raises PictureError."""
    with _opened(path, "JPEG") as image:
        if image.size != (size_px, size_px):
            raise PictureError("wrong size", f"{image.width}x{image.height} px, not {size_px}x{size_px}")
        if image.mode != "RGB":
            raise PictureError("not RGB", f"mode {image.mode}")
        return np.asarray(image)


def read_photograph(path: Path, max_side_px: int | None = None) -> Pixels:
    """A JPEG or PNG photograph the right way up (EXIF), as uint8 (H, W, 3), no side above `max_side_px`.

    Values are taken as sRGB, whatever profile the file carries. An alpha channel is dropped where it is opaque
    everywhere. Raises PictureError; "not RGB" for grayscale (it has no color to learn), palettes and the like.
    """
    with _opened(path, "JPEG", "PNG") as image:
        if image.mode == "RGBA" and np.asarray(image)[..., 3].min() < 255:
            raise PictureError("transparent", "its alpha channel is not opaque")
        if image.mode not in ("RGB", "RGBA"):
            raise PictureError("not RGB", f"mode {image.mode}")
        upright = ImageOps.exif_transpose(image).convert("RGB")
        if max_side_px and max(upright.size) > max_side_px:
            upright.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
        return np.asarray(upright)


@contextlib.contextmanager
def _opened(path: Path, *formats: str) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=formats) as image:
            image.verify()  # the checksums of a PNG, which decoding it would not look at; it has to be opened again
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError("too large", f"{image.width}x{image.height} px, more than {MAX_PIXELS:,} pixels")
            image.load()
            yield image
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError("too large", f"more than {MAX_PIXELS:,} pixels") from None
    except _BROKEN as error:
        raise PictureError(
            "unreadable", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


class Tally:
    """Counts names by reason, and keeps the first few of each as examples."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Counts `name` under `reason`."""
        self._counts[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    def update(self, other: "Tally") -> None:
        """Counts everything that `other` counted."""
        self._counts.update(other._counts)
        for reason, names in other._examples.items():
            mine = self._examples.setdefault(reason, [])
            mine += names[: EXAMPLES - len(mine)]

    def refuse_above(self, share: float, of: int, things: str) -> None:
        """Raises DataError where more than `share` of the `of` things were counted; `things` says what and where."""
        if self.total > share * of:
            raise DataError(f"{self.total} of {of} {things} cannot be used, more than {share:.0%}: {self.words()}")

    @property
    def total(self) -> int:
        """How many names were counted, all reasons together."""
        return self._counts.total()

    def summary(self) -> dict[str, Any]:
        """Reason -> {"count": how many, "examples": the first names}."""
        return {reason: self.of(reason) for reason in self._counts}

    def of(self, reason: str) -> dict[str, Any]:
        """The entry of one reason, which may have counted nothing."""
        return {"count": self._counts[reason], "examples": self._examples.get(reason, [])}

    def words(self) -> str:
        """The same as one line of text."""
        parts = [
            f"{n} {reason} ({self._examples[reason][0]}{', ...' if n > 1 else ''})"
            for reason, n in self._counts.items()
        ]
        return "; ".join(parts)
