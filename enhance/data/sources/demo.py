"""The data that needs no download: the color photographs that come with scikit-image."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from enhance.data.reading.pictures import Picture, PictureError, Tally, read_photograph, strict_pillow
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels

# All are in the package itself, none is fetched. "motorcycle_right" would repeat the left one: they are a stereo pair.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


# The widest patch for which each has room at its validation end: 35 % of the 451 px of chelsea.png.
WIDEST_BY_REGION_PX = 158


@dataclass(frozen=True, slots=True)
class Bundled:
    """Each photograph serves both splits, with validation at one end of it; wide patches are taken apart by photograph.

    Then the last photograph is for validation, and a photograph that is smaller than a patch is left out.
    """

    CODE: ClassVar[tuple[str, ...]] = ("sources/demo.py",)

    @property
    def where(self) -> str:
        """No folder of the user's."""
        return "demo"

    def names(self) -> Sequence[str]:
        """The names of the files."""
        return PHOTOGRAPHS

    def ignored(self) -> Tally:
        """Nothing: what else the package bundles is not meant."""
        return Tally()

    def identity(self) -> dict[str, object]:
        """The photographs and their package's version."""
        return {"photographs": PHOTOGRAPHS, "scikit-image": _version()}

    def read(self, name: str, max_side_px: int) -> Picture:
        """One photograph. Raises DataError where the installed package has none."""
        return Picture(bundled_photograph(name, max_side_px))

    def val_count(self, usable: int, patch_px: int) -> int:
        """None or one: it depends on the size of the patches only."""
        return int(patch_px > WIDEST_BY_REGION_PX)


def bundled_photograph(name: str, max_side_px: int = 1600) -> Pixels:
    """One of PHOTOGRAPHS as (H, W, 3) uint8, read from the installed package. Raises DataError where it has none."""
    found = importlib.util.find_spec("skimage")  # found, not imported: the files are all that is wanted
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise DataError("data='demo' needs scikit-image's bundled photographs; install scikit-image, or give own data")
    try:
        with strict_pillow():
            return read_photograph(Path(folders[0]) / "data" / name, max_side_px)
    except PictureError as error:
        raise DataError(f"scikit-image {_version()} does not bundle a whole {name}: {error}") from error


def _version() -> str:
    try:
        return importlib.metadata.version("scikit-image")
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            "data='demo' needs scikit-image's bundled photographs; install scikit-image, or give own data"
        ) from None
