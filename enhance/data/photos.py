"""The user's own photographs as the good camera, with the simulated phone beside them."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance.data.cache import code_digest
from enhance.data.errors import DataError
from enhance.data.folders import Listing, absolute, list_pictures
from enhance.data.patches import CODE, Simulation
from enhance.data.pictures import PictureError, Tally, read_photograph, strict_pillow
from enhance.data.store import Pixels, StoreWriter

SUFFIXES = (".jpg", ".jpeg", ".png")
APART_FROM = 5  # with fewer photographs, whole ones for validation would be too few, or too few remain
VAL_EVERY = 5  # one photograph in five goes to validation
MAX_EXCLUDED_SHARE = 0.5  # a folder of mixed pictures is common; one with more misfits than photographs, a mistake


@dataclass(frozen=True, slots=True)
class Photos:
    """The JPEG and PNG files of one folder (not of folders in it), in the order of their names.

    With `APART_FROM` usable photographs or more, the last fifth by name is for validation: cameras number their
    pictures, so pictures of one scene stay together. With fewer, each serves both splits in regions of its own.
    A copy of an earlier photograph (equal pixels) is left out, or it could stand in both splits.
    """

    folder: Path
    simulation: Simulation = field(default_factory=Simulation)

    @classmethod
    def find(cls, given: Path) -> "Photos":
        """The photographs in `given`. Raises DataError where there is no such folder, or no photograph in it."""
        photos = cls(absolute(given))
        if not photos._listing().pictures:
            raise DataError(f"looked for {', '.join('*' + s for s in SUFFIXES)} in {photos.folder}: there is none")
        return photos

    @property
    def name(self) -> str:
        """For the file name of the packed store."""
        return "photos"

    @property
    def spec(self) -> str:
        """The source with its absolute folder."""
        return f"photos:{self.folder}"

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all photographs, the simulation, the code."""
        return {
            "files": self._listing().state(),
            "simulation": self.simulation.parameters(),
            "code": code_digest("photos.py", "folders.py", *CODE),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Adds the pairs of all usable photographs. Raises DataError where too many cannot be used."""
        listing, excluded, ignored = self._listing(), Tally(), Tally()
        for name in listing.others:
            ignored.add("no JPEG or PNG file", name)
        with strict_pillow():
            names = self._usable(listing, excluded, progress)
            val_count = len(names) // VAL_EVERY if len(names) >= APART_FROM else 0
            photographs = self._read(names, progress)
            if val_count:
                train_count = len(names) - val_count
                self.simulation.add(writer, "train", itertools.islice(photographs, train_count))
                self.simulation.add(writer, "val", photographs, first_index=train_count)
            else:
                self.simulation.add_to_both(writer, photographs)
        return {
            "photographs": {"usable": len(names), "split": "by photograph" if val_count else "by region"},
            "excluded": excluded.summary(),
            "ignored": ignored.summary(),
            "simulation": self.simulation.parameters(),
        }

    def _listing(self) -> Listing:
        return list_pictures(self.folder, SUFFIXES)

    def _usable(self, listing: Listing, excluded: Tally, progress: Callable[[str], None]) -> list[str]:
        usable: dict[str, str] = {}  # digest of the pixels -> name
        for done, name in enumerate(listing.pictures):
            progress(f"checking {self.spec}: {done} of {len(listing.pictures)} photographs")
            try:
                photograph = self._read_one(name)
            except PictureError as error:
                excluded.add(error.reason, f"{name} ({error.detail})")
                continue
            if not all(self.simulation.windows_of_both(photograph).values()):
                excluded.add("too small", f"{name} ({photograph.shape[1]}x{photograph.shape[0]} px)")
                continue
            first = usable.setdefault(hashlib.sha256(photograph.tobytes()).hexdigest(), name)
            if first != name:
                excluded.add("copy", f"{name} (of {first})")
        if excluded.total > MAX_EXCLUDED_SHARE * len(listing.pictures):
            raise DataError(
                f"{excluded.total} of {len(listing.pictures)} photographs in {self.folder} cannot be used, "
                f"more than {MAX_EXCLUDED_SHARE:.0%}: {excluded.words()}"
            )
        return list(usable.values())

    def _read(self, names: list[str], progress: Callable[[str], None]) -> Iterator[Pixels]:
        for done, name in enumerate(names):
            progress(f"packing {self.spec}: {done} of {len(names)} photographs")
            try:
                yield self._read_one(name)
            except PictureError as error:
                raise DataError(f"{self.folder / name} changed while it was read: {error}") from error

    def _read_one(self, name: str) -> Pixels:
        return read_photograph(self.folder / name, self.simulation.cut.max_side_px)
