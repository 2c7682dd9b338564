"""Folders of pictures: their files, in a stable order, and whether they have changed."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from enhance.data.storage.errors import DataError

EXAMPLES = 5
DEBRIS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}
"""What file managers, archivers and storage servers leave beside pictures, in lower case; nobody put it there."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The contents of one folder: pictures, sorted by number and then by name, other files, and subfolders."""

    folder: Path
    pictures: tuple[str, ...]
    others: tuple[str, ...]
    folders: tuple[str, ...] = ()

    def none_of(self, sought: str) -> DataError:
        """The error for a folder without `sought`; it says what the folder has instead."""
        return DataError(f"there is no {sought} in {self.folder}; the folder has {self.contents()}")

    def contents(self) -> str:
        """A phrase that counts the files by suffix and names the subfolders."""
        suffixes = Counter(self._kind(name) for name in (*self.pictures, *self.others))
        parts = [f"{count} {suffix}" for suffix, count in suffixes.most_common(EXAMPLES)]
        if self.folders:
            more = ", ..." if len(self.folders) > EXAMPLES else ""
            names = printable(", ".join(self.folders[:EXAMPLES]))
            parts.append(f"{len(self.folders)} subfolders, which are not searched ({names}{more})")
        return ", ".join(parts) or "nothing"

    def _kind(self, name: str) -> str:
        if is_special(self.folder / name):
            return "special file"
        return printable(Path(name).suffix.lower()) or "without a suffix"

    def state(self) -> list[tuple[str, int, int]]:
        """Name, size and modification time of each picture, to tell whether the folder has changed."""
        return [(name, *_size_and_time(self.folder / name)) for name in self.pictures]


def list_pictures(folder: Path, suffixes: tuple[str, ...]) -> Listing:
    """List the files of `folder`; pictures are those with one of `suffixes`, in any case. See `names_in`.

    Raises DataError if the folder does not exist or cannot be read.
    """
    inside = names_in(folder)
    # os.path's tests answer False where Path's raise, as for names in a folder that may be listed but not entered.
    folders = [name for name in inside if os.path.isdir(folder / name)]
    names = sorted(set(inside) - set(folders))
    pictures = [name for name in names if name.lower().endswith(suffixes) and not is_special(folder / name)]
    others = sorted(set(names) - set(pictures))
    return Listing(folder, tuple(sorted(pictures, key=by_number)), tuple(others), tuple(sorted(folders)))


def is_special(path: Path) -> bool:
    """Whether `path` exists but is not a regular file. Reading one, such as a named pipe, could block forever."""
    return os.path.exists(path) and not os.path.isfile(path)


def subfolders(folder: Path) -> list[str]:
    """The sorted names of the visible subfolders of `folder`. Raises DataError like `list_pictures`."""
    return sorted(name for name in names_in(folder) if os.path.isdir(folder / name))


def names_in(folder: Path) -> list[str]:
    """The names of everything visible in `folder`, without hidden files (a Mac's ._x.jpg among them) and `DEBRIS`.

    Raises DataError like `list_pictures`.
    """
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".") and name.lower() not in DEBRIS]
    except FileNotFoundError:
        raise DataError(f"there is no folder {folder}") from None
    except NotADirectoryError:
        raise DataError(f"{folder} is a file, not a folder") from None
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error


def absolute(folder: Path) -> Path:
    """`folder` with ~ and links resolved, so that each folder has one name.

    Raises DataError for an unknown ~user, and for a name that is not UTF-8, which a ledger cannot store.
    """
    try:
        found = folder.expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise DataError(printable(f"cannot find the folder {folder}: {error}")) from None
    if printable(str(found)) != str(found):
        raise DataError(f"the name of the folder {printable(str(found))} is not UTF-8; rename it")
    return found


def printable(text: str) -> str:
    r"""`text` with bytes that are not UTF-8 escaped as \xe9: such names can be neither printed nor stored."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
    # isdecimal, because isdigit is true of "²" too, which int() refuses.
    return (0, int(stem), name) if stem.isdecimal() else (1, 0, name)


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # a broken link; reading it will report that
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
