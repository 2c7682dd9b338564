"""Publish files atomically: complete and on disk, or not at all, and never over an existing file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def publish_file(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside `final` for the block to write and check; then sync it and give it its name.

    If the block raises, nothing is left behind. Raises OSError, FileExistsError if `final` exists.
    """
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        yield temporary
        _fsync(temporary)
        os.link(temporary, final)  # unlike a rename, never replaces a file
    finally:
        temporary.unlink(missing_ok=True)
    _fsync(final.parent)  # without this, a power failure can lose the new name


def remove_temporaries(folder: Path) -> None:
    """Remove the Parquet temporaries of a killed writer in `folder`. Only for the process that holds its lock."""
    for leftover in folder.glob(".*.parquet.tmp"):
        leftover.unlink()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
