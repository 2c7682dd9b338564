"""Pairs of patches, the phone's and the good camera's, packed once and shared by every worker of a machine.

Nothing here loads torch: a driver opens the data before, and often without, any network.
"""

from collections.abc import Callable
from pathlib import Path

from enhance.data.cache import Source, open_prepared
from enhance.data.demo import Demo
from enhance.data.dped import Dped
from enhance.data.errors import DataError
from enhance.data.photos import Photos
from enhance.data.store import PairStore

__all__ = ["DataError", "PairStore", "check_spec", "open_data"]

CHOICES = "demo, dped:DIR, photos:DIR"


def open_data(spec: str, *, cache: Path | None = None, progress: Callable[[str], None] | None = None) -> PairStore:
    """Opens the pairs that `spec` names, after packing them where that has not been done; every pixel is verified.

    `spec` is "demo" (photographs bundled with scikit-image), "dped:DIR" (the public DPED tree) or "photos:DIR" (own
    photographs); "demo" and "photos" go through the camera simulator. Packed stores lie in `cache`, else where
    TESTSTRIP_CACHE says, else in ~/.cache/teststrip. `progress` is told in sentences what is going on. Raises DataError
    with a message for the user.
    """
    return open_prepared(_source(spec), cache, progress or _unheard)


def check_spec(spec: str) -> None:
    """Raises DataError where `spec` names no kind of data, or a folder that is not laid out as that kind needs."""
    _source(spec)


def _source(spec: str) -> Source:
    kind, _, folder = spec.partition(":")
    if spec == "demo":
        return Demo()
    if kind == "dped" and folder:
        return Dped.find(Path(folder))
    if kind == "photos" and folder:
        return Photos.find(Path(folder))
    raise DataError(f"data={spec!r} is not a choice; choose from {CHOICES}")


def _unheard(message: str) -> None:
    """Progress that nobody asked for."""
