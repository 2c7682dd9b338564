"""Looking into folders of pictures: which files are there, in which order, in which state."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from enhance.data.storage.errors import DataError


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one folder: pictures in the order of their numbers (other names after them), and other files."""

    folder: Path
    pictures: tuple[str, ...]
    others: tuple[str, ...]

    def state(self) -> list[tuple[str, int, int]]:
        """Name, size and time of change of each picture: what tells one state of a folder from another."""
        return [(name, *_size_and_time(self.folder / name)) for name in self.pictures]


def list_pictures(folder: Path, suffixes: tuple[str, ...]) -> Listing:
    """The files of `folder` that end in one of `suffixes`, whatever their case; hidden files are no files here.

    Raises DataError where there is no such folder, or it may not be read.
    """
    names = [name for name in names_in(folder) if not os.path.isdir(folder / name)]
    pictures = [name for name in names if name.lower().endswith(suffixes)]
    return Listing(folder, tuple(sorted(pictures, key=by_number)), tuple(sorted(set(names) - set(pictures))))


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted, hidden ones left out. Raises DataError as `list_pictures` does."""
    return sorted(name for name in names_in(folder) if os.path.isdir(folder / name))


def names_in(folder: Path) -> list[str]:
    """Everything in `folder` that is not hidden. Raises DataError as `list_pictures` does."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        raise DataError(f"looked for the folder {folder}: there is none") from None
    except NotADirectoryError:
        raise DataError(f"looked for the folder {folder}: that is a file") from None
    except OSError as error:
        raise DataError(f"cannot look into the folder {folder}: {error.strerror}") from error


def absolute(folder: Path) -> Path:
    """`folder` with ~ and links resolved, so that one folder has one name. Raises DataError for an unknown ~user."""
    try:
        return folder.expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise DataError(f"cannot find the folder {folder}: {error}") from None


def spelled(kind: str, where: Path | str | None, size_px: int | None) -> str:
    """The spec of a source, from its parts: KIND:WHERE@PX, without those that are None.

    A folder whose own name ends in @ and digits gets a slash behind it, or they would be read as a size.
    """
    place = "" if where is None else f":{where}"
    place += "/" if re.search(r"@\d+$", place) else ""
    return f"{kind}{place}" + ("" if size_px is None else f"@{size_px}")


def by_number(name: str) -> tuple[int, int, str]:
    """The key that sorts 2.jpg before 10.jpg, and names that are no number after those that are, by their letters."""
    stem = name.rpartition(".")[0]
    return (0, int(stem), name) if stem.isdecimal() else (1, 0, name)


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # a link to nowhere: reading it will say so
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
