"""Patches to train and validate on, packed once and shared by every worker of a machine.

Nothing here loads torch, but for the processes in which `pairs` aligns photographs: a driver opens the data before, and
often without, any network.
"""

from collections.abc import Callable
from pathlib import Path

from enhance.data.kinds import KINDS, Kind, source_of
from enhance.data.sources.pairs import Pairs
from enhance.data.storage.cache import open_prepared
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import PatchStore

__all__ = ["KINDS", "DataError", "Kind", "PatchStore", "check_spec", "open_data"]


def open_data(spec: str, *, cache: Path | None = None, progress: Callable[[str], None] | None = None) -> PatchStore:
    """Opens the patches that `spec` names, after packing them where that has not been done; every pixel is verified.

    `spec` is one of `KINDS`, such as "demo", "dped:DIR" or "deblur:DIR@256"; the number after the last @ is the size of
    the patches in px, for kinds that cut them. Packed stores lie in `cache`, else where TESTSTRIP_CACHE says, else in
    ~/.cache/teststrip. `progress` is told in sentences what is going on. Raises DataError with a message for the user.
    """
    source = source_of(spec)
    if isinstance(source, Pairs):
        return source.open(cache, progress or _unheard)  # it keeps what is done while it packs
    return open_prepared(source, cache, progress or _unheard)


def check_spec(spec: str) -> None:
    """Raises DataError where `spec` names no kind of data, or a folder that is not laid out as that kind needs."""
    source_of(spec)


def _unheard(message: str) -> None:
    """Progress that nobody asked for."""
