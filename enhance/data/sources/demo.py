"""Data without a download: the color photographs bundled with scikit-image."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from enhance.data.reading.pictures import Picture, PictureError, Tally, strict_pillow
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels

# All are part of the installed package. "motorcycle_right" is left out: with the left one it forms a stereo pair. The
# order is part of the data: a photograph's place seeds its degradation, and if patches are large, the last is for
# validation.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


_NO_PHOTOGRAPHS = "data='demo' needs scikit-image's bundled photographs; install scikit-image, or use your own data"

# The largest patch for which every photograph has room at its validation end: 35 % of the 451 px of chelsea.png.
WIDEST_BY_REGION_PX = 158


@dataclass(frozen=True, slots=True)
class Bundled:
    """Each photograph serves both splits, with validation at one end. Large patches are split by photograph instead.

    In that case the last photograph is for validation, and photographs smaller than a patch are left out.
    """

    CODE: ClassVar[tuple[str, ...]] = ("sources/demo.py",)

    @property
    def where(self) -> str:
        """Not a folder, but the name of the kind."""
        return "demo"

    def names(self) -> Sequence[str]:
        """The file names."""
        return PHOTOGRAPHS

    def ignored(self) -> Tally:
        """Nothing; other files of the package do not concern us."""
        return Tally()

    def identity(self) -> dict[str, object]:
        """The photographs, and the version of their package."""
        return {"photographs": PHOTOGRAPHS, "scikit-image": _version()}

    def read(self, name: str, max_side_px: int) -> Picture:
        """Read one photograph. Raises DataError if the installed package lacks it."""
        return Picture(bundled_photograph(name, max_side_px))

    def val_count(self, usable: int, patch_px: int) -> int:
        """0 or 1, depending only on the patch size."""
        return int(patch_px > WIDEST_BY_REGION_PX)


def bundled_photograph(name: str, max_side_px: int = 1600) -> Pixels:
    """Read one of PHOTOGRAPHS as (H, W, 3) uint8 from the installed package. Raises DataError if it is not there.

    The values are the stored ones, whatever color profile the file carries (rocket.jpg says Adobe RGB): the demo is a
    fixed data set, and runs of earlier versions on it must stay comparable.
    """
    found = importlib.util.find_spec("skimage")  # not imported: only the files are needed
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise DataError(_NO_PHOTOGRAPHS)
    try:
        with strict_pillow(), Image.open(Path(folders[0]) / "data" / name) as image:
            if max(image.size) > max_side_px:
                image.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
            return np.asarray(image.convert("RGB"))
    except (OSError, PictureError) as error:
        raise DataError(f"the {name} of scikit-image {_version()} cannot be read: {error}") from error


def _version() -> str:
    try:
        return importlib.metadata.version("scikit-image")
    except importlib.metadata.PackageNotFoundError:
        raise DataError(_NO_PHOTOGRAPHS) from None
