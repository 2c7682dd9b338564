"""Folders of pictures: their files, in a stable order, and whether they have changed."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from enhance.data.storage.errors import DataError


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one folder: pictures, sorted by number and then by name, and all others."""

    folder: Path
    pictures: tuple[str, ...]
    others: tuple[str, ...]

    def state(self) -> list[tuple[str, int, int]]:
        """Name, size and modification time of each picture, to tell whether the folder has changed."""
        return [(name, *_size_and_time(self.folder / name)) for name in self.pictures]


def list_pictures(folder: Path, suffixes: tuple[str, ...]) -> Listing:
    """List the files of `folder`; pictures are those with one of `suffixes`, in any case. Hidden files are ignored.

    Raises DataError if the folder does not exist or cannot be read.
    """
    names = [name for name in names_in(folder) if not os.path.isdir(folder / name)]
    pictures = [name for name in names if name.lower().endswith(suffixes)]
    return Listing(folder, tuple(sorted(pictures, key=by_number)), tuple(sorted(set(names) - set(pictures))))


def subfolders(folder: Path) -> list[str]:
    """The sorted names of the visible subfolders of `folder`. Raises DataError like `list_pictures`."""
    return sorted(name for name in names_in(folder) if os.path.isdir(folder / name))


def names_in(folder: Path) -> list[str]:
    """The names of everything visible in `folder`. Raises DataError like `list_pictures`."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        raise DataError(f"there is no folder {folder}") from None
    except NotADirectoryError:
        raise DataError(f"{folder} is a file, not a folder") from None
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error


def absolute(folder: Path) -> Path:
    """`folder` with ~ and links resolved, so that each folder has one name. Raises DataError for an unknown ~user."""
    try:
        return folder.expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise DataError(f"cannot find the folder {folder}: {error}") from None


def format_spec(kind: str, where: Path | str | None, size_px: int | None) -> str:
    """Build a spec, KIND:WHERE@PX, from its parts; parts that are None are left out.

    A folder whose name ends in @ and digits gets a trailing slash; otherwise they would be read as a size.
    """
    place = "" if where is None else f":{where}"
    place += "/" if re.search(r"@\d+$", place) else ""
    return f"{kind}{place}" + ("" if size_px is None else f"@{size_px}")


def by_number(name: str) -> tuple[int, int, str]:
    """Sort key that puts 2.jpg before 10.jpg, and names that are not numbers after all others, alphabetically."""
    stem = name.rpartition(".")[0]
    return (0, int(stem), name) if stem.isdecimal() else (1, 0, name)


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # a broken link; reading it will report that
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
