"""Training and validation patches, packed once and shared by every worker of a machine.

Nothing here loads torch, except in the processes in which `pairs` aligns photographs: a driver opens the data before it
builds a network, and often without one.
"""

from collections.abc import Callable
from pathlib import Path

from enhance.data.kinds import DEGRADATIONS, KINDS, Kind, kind_of, source_of
from enhance.data.sources.pairs import Pairs
from enhance.data.storage.cache import open_or_pack
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import PatchStore

__all__ = ["DEGRADATIONS", "KINDS", "DataError", "Kind", "PatchStore", "check_spec", "kind_of", "open_data"]


def open_data(spec: str, *, cache: Path | None = None, progress: Callable[[str], None] | None = None) -> PatchStore:
    """Open the patches that `spec` names, packing them first if necessary. Every pixel is verified.

    `spec` is one of `KINDS`, such as "demo", "dped:DIR" or "deblur:DIR@256"; the number after the last @ is the patch
    size in px, for kinds that cut patches. Packed stores are kept in `cache`, by default $TESTSTRIP_CACHE, else
    ~/.cache/teststrip. `progress` receives sentences. Raises DataError with a message for the user.
    """
    source = source_of(spec)
    if isinstance(source, Pairs):
        return source.open(cache, progress or _ignore)  # aligning takes long: it also keeps unfinished work
    return open_or_pack(source, cache, progress or _ignore)


def check_spec(spec: str) -> None:
    """Raise DataError if `spec` names no kind of data, or a folder without the layout that the kind requires."""
    source_of(spec)


def _ignore(message: str) -> None:
    """Discard a progress message."""
