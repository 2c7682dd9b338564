"""Write a file, or a few together: all of them are there, complete, or none is.

In a folder, the files are written and synced in a temporary folder beside the final one, which is then renamed. An
object store cannot rename, so there one file, written last and removed first, says that the others are complete.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from analysis.ledger.durable import make_folder, sync
from analysis.ledger.location import Location, StorePath

TEMPORARY = ".tmp"


def commit_folder(files: Mapping[str, bytes], final: Location, mark: str) -> None:
    """Write `files` by name into the new folder `final`, in place of an earlier one of that name.

    `mark` is the one of the files without which a reader takes none of the others for real. Raises OSError if
    the disk or the store refuses, and RuntimeError if a store does not give back what it was given; a reader then takes
    none of the files, or all if only the last sync failed.
    """
    if isinstance(final, StorePath):
        _put(files, final, mark)
    else:
        _rename(files, final)


def commit_bytes(content: bytes, final: Location) -> None:
    """Write one file, in place of an earlier one of that name. Raises as `commit_folder` does."""
    if isinstance(final, StorePath):
        final.write(content)
        return
    make_folder(final.parent)
    temporary = final.with_name(f".{final.name}{TEMPORARY}")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    sync(final.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed writer has left in `folder`, or one level below. Only for the process that holds the run."""
    for leftover in (*folder.glob(f".*{TEMPORARY}"), *folder.glob(f"*/.*{TEMPORARY}")):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _rename(files: Mapping[str, bytes], final: Path) -> None:
    make_folder(final.parent)
    temporary = final.with_name(f".{final.name}{TEMPORARY}")
    old = final.with_name(f".{final.name}.old{TEMPORARY}")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
            sync(temporary / name)
        sync(temporary)
        # A folder cannot be replaced in one step. Between the two there is none, which is a state that readers know.
        if final.exists():
            os.rename(final, old)
        os.rename(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    # Without this, a power failure can lose the new name.
    sync(final.parent)


def _put(files: Mapping[str, bytes], final: StorePath, mark: str) -> None:
    (final / mark).remove()
    for name in (*(name for name in files if name != mark), mark):
        (final / name).write(files[name])
        if (final / name).read().to_pybytes() != files[name]:
            (final / mark).remove()
            raise RuntimeError(f"{final / name} does not read back as it was written")
