"""How a file gets its name: complete and on the disk, or not at all, and never over another one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named(final: Path) -> Iterator[Path]:
    """A temporary name beside `final`, for the block to make a file of and to check it; then it is synced and renamed.

    Where the block raises nothing is left. Raises OSError, FileExistsError where the name is taken.
    """
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        yield temporary
        _fsync(temporary)
        os.link(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    _fsync(final.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed writer of `folder` has left. Only for the one who holds it."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
