"""The user's own photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from enhance.data.reading.folders import Listing, absolute, list_pictures
from enhance.data.reading.pictures import Picture, Tally, read_picture
from enhance.data.storage.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
APART_FROM = 5  # with fewer photographs, whole ones for validation would be too few, or too few remain
VAL_EVERY = 5  # one photograph in five goes to validation


@dataclass(frozen=True, slots=True)
class Folder:
    """The JPEG and PNG files of one folder (not of folders in it), in the order of their names.

    With `APART_FROM` usable photographs or more, the last fifth by name is for validation: cameras number their
    pictures, so pictures of one scene stay together. With fewer, each serves both splits in regions of its own.
    """

    folder: Path

    CODE: ClassVar[tuple[str, ...]] = ("sources/photos.py", "reading/folders.py")

    @classmethod
    def find(cls, given: Path) -> "Folder":
        """The photographs in `given`. Raises DataError where there is no such folder, or no photograph in it."""
        found = cls(absolute(given))
        if not found.names():
            raise DataError(f"looked for {', '.join('*' + s for s in SUFFIXES)} in {found.folder}: there is none")
        return found

    @property
    def where(self) -> str:
        """The absolute folder."""
        return str(self.folder)

    def names(self) -> Sequence[str]:
        """The names of the files, usable or not."""
        return self._listing().pictures

    def ignored(self) -> Tally:
        """The other files of the folder."""
        ignored = Tally()
        for name in self._listing().others:
            ignored.add("no JPEG or PNG file", name)
        return ignored

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all photographs."""
        return {"files": self._listing().state()}

    def read(self, name: str, max_side_px: int) -> Picture:
        """One photograph the right way up, as 8-bit sRGB. Raises PictureError."""
        return read_picture(self.folder / name, max_side_px)

    def val_count(self, usable: int, patch_px: int) -> int:
        """A fifth, where there are enough; the size of the patches makes no difference."""
        return usable // VAL_EVERY if usable >= APART_FROM else 0

    def _listing(self) -> Listing:
        return list_pictures(self.folder, SUFFIXES)
