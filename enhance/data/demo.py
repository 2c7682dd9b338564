"""The data that needs no download: the color photographs that come with scikit-image."""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance.data.cache import code_digest
from enhance.data.errors import DataError
from enhance.data.patches import CODE, Simulation
from enhance.data.pictures import PictureError, read_photograph, strict_pillow
from enhance.data.store import Pixels, StoreWriter

# All are in the package itself, none is fetched. "motorcycle_right" would repeat the left one: they are a stereo pair.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


@dataclass(frozen=True, slots=True)
class Demo:
    """Each photograph serves both splits, with validation at one end of it."""

    simulation: Simulation = field(default_factory=Simulation)
    name: str = field(default="demo", init=False)
    spec: str = field(default="demo", init=False)

    def identity(self) -> dict[str, object]:
        """The photographs, their package's version, the simulation, the code."""
        return {
            "photographs": PHOTOGRAPHS,
            "scikit-image": _version(),
            "simulation": self.simulation.parameters(),
            "code": code_digest("demo.py", *CODE),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Adds the pairs of all photographs."""
        progress(f"packing demo: {len(PHOTOGRAPHS)} photographs")
        max_side_px = self.simulation.cut.max_side_px
        self.simulation.add_to_both(writer, (bundled_photograph(name, max_side_px) for name in PHOTOGRAPHS))
        return {"photographs": list(PHOTOGRAPHS), "excluded": {}, "simulation": self.simulation.parameters()}


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
