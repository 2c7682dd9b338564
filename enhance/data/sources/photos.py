"""The user's own photographs, from one folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from enhance.data.reading.folders import Listing, absolute, list_pictures
from enhance.data.reading.pictures import Picture, Tally, read_picture

SUFFIXES = (".jpg", ".jpeg", ".png")
APART_FROM = 5  # with fewer photographs, reserving whole ones for validation would leave too few on one side
VAL_EVERY = 5  # one photograph in five is for validation


@dataclass(frozen=True, slots=True)
class Folder:
    """The JPEG and PNG files of one folder (without subfolders), sorted by name.

    With at least `APART_FROM` usable photographs, the last fifth by name is for validation: cameras number their
    pictures, so those of one scene stay in the same split. With fewer, each photograph serves both splits, in separate
    regions.
    """

    folder: Path

    CODE: ClassVar[tuple[str, ...]] = ("sources/photos.py", "reading/folders.py")

    @classmethod
    def find(cls, given: Path) -> "Folder":
        """The photographs in `given`. Raises DataError if the folder does not exist or has none."""
        found = cls(absolute(given))
        if not found.names():
            raise found._listing().none_of(", ".join("*" + suffix for suffix in SUFFIXES))
        return found

    @property
    def where(self) -> str:
        """The absolute folder."""
        return str(self.folder)

    def names(self) -> Sequence[str]:
        """The file names, usable or not."""
        return self._listing().pictures

    def ignored(self) -> Tally:
        """The folder's other files."""
        ignored = Tally()
        for name in self._listing().others:
            ignored.add("not a JPEG or PNG file", name)
        return ignored

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all photographs."""
        return {"files": self._listing().state()}

    def read(self, name: str, max_side_px: int) -> Picture:
        """One photograph the right way up, as 8-bit sRGB. Raises PictureError."""
        return read_picture(self.folder / name, max_side_px)

    def val_count(self, usable: int, patch_px: int) -> int:
        """A fifth if there are enough, whatever the patch size."""
        return usable // VAL_EVERY if usable >= APART_FROM else 0

    def _listing(self) -> Listing:
        return list_pictures(self.folder, SUFFIXES)
