"""Publish files atomically: complete and on disk, or not at all, and never over an existing file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def publish_file(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside `final` for the block to write and check; then sync it and give it its name.

    If the block raises, nothing is left behind. Raises OSError, FileExistsError if `final` exists.
    """
    temporary = final.with_name(f".{final.name}.tmp")
    try:
        yield temporary
        sync(temporary)
        # Unlike a rename, a link never replaces a file.
        os.link(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    # Without this, a power failure can lose the new name.
    sync(final.parent)


def make_folder(folder: Path, *inside: str) -> None:
    """Make `folder`, the missing ones above it, and those named `inside` it, so that a power failure loses none.

    Without this, a file can be durable in a folder whose own name is not. Raises OSError.
    """
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for name in inside:
        (folder / name).mkdir(exist_ok=True)
    if inside:
        sync(folder)
    # The name of a folder that exists is synced too: whoever made it may have been killed before doing so.
    for made in missing or [folder]:
        with suppress(PermissionError):  # a folder may be entered without being readable
            sync(made.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove the Parquet temporaries of a killed writer in `folder`. Only for the process that holds its lock."""
    for leftover in folder.glob(".*.parquet.tmp"):
        leftover.unlink()


def sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk. Raises OSError."""
    # Folders can be opened for reading only, and Linux syncs through any descriptor.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
