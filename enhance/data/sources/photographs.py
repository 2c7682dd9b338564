"""Pairs made from photographs, wherever they come from, by degrading them.

Training and validation share no pixel, and no pixel of a photograph influences both.
"""

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from enhance.data.degradations.camera import Camera
from enhance.data.degradations.patches import Cut, Degradation, Pairing
from enhance.data.reading.folders import format_spec
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import Picture, PictureError, Tally, strict_pillow
from enhance.data.storage.cache import code_digest
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels
from enhance.data.storage.store_writer import StoreWriter

MAX_EXCLUDED_SHARE = 0.5  # folders of mixed pictures are common; with more misfits than photographs it is a mistake
CODE = ("sources/photographs.py", "degradations/patches.py", *READING)


class Photographs(Protocol):
    """A source of photographs."""

    CODE: ClassVar[tuple[str, ...]]  # the files of this package that determine the pixels

    @property
    def where(self) -> str:
        """How a spec names it: "demo" or an absolute folder."""

    def names(self) -> Sequence[str]:
        """All photographs, in a fixed order."""

    def ignored(self) -> Tally:
        """Other files found next to them."""

    def identity(self) -> dict[str, object]:
        """Everything that determines their pixels, in JSON types."""

    def read(self, name: str, max_side_px: int) -> Picture:
        """Read one photograph, its longer side at most `max_side_px`. Raises PictureError."""

    def val_count(self, usable: int, patch_px: int) -> int:
        """How many of the usable photographs, the last ones, are for validation only; 0 if each serves both splits."""


@dataclass(frozen=True, slots=True)
class PhotographPairs:
    """A source of pairs: the `kind` of data, its photographs, the degradation, and how to cut patches.

    A copy of an earlier photograph (equal pixels) is left out, because it could end up in both splits.
    """

    kind: str
    photographs: Photographs
    degradation: Degradation = field(default_factory=Camera)
    cut: Cut = field(default_factory=Cut)
    seed: int = 0

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return self.kind

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folder and its patch size unless that is the default."""
        size_px = None if self.cut.patch_px == Cut().patch_px else self.cut.patch_px
        return format_spec(self.kind, None if self.kind == "demo" else self.photographs.where, size_px)

    @property
    def pairing(self) -> Pairing:
        """The maker of the pairs."""
        return Pairing(degradation=self.degradation, cut=self.cut, seed=self.seed)

    def identity(self) -> dict[str, object]:
        """The photographs, all parameters, and a digest of the code."""
        return {
            **self.photographs.identity(),
            **self._parameters(),
            "code": code_digest(*CODE, *self.photographs.CODE, *self.degradation.CODE),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Add the pairs of all usable photographs. Raises DataError if too many cannot be used."""
        excluded, changed = Tally(), Tally()
        with strict_pillow():
            # Each photograph is read twice, to check it and to pack it, so that they need not all be in memory.
            names = self._usable(excluded, changed, progress)
            val_count = self.photographs.val_count(len(names), self.cut.patch_px)
            photographs = self._read(names, progress)
            if val_count:
                # One generator: the first call takes the training photographs from it, the second the rest.
                train_count = len(names) - val_count
                self.pairing.add(writer, "train", itertools.islice(photographs, train_count))
                self.pairing.add(writer, "val", photographs, first_index=train_count)
            else:
                self.pairing.add_to_both(writer, photographs)
        return {
            "photographs": {"usable": len(names), "split": "by photograph" if val_count else "by region"},
            "excluded": excluded.summary(),
            "changed": changed.summary(),
            "ignored": self.photographs.ignored().summary(),
            **self._parameters(),
        }

    def _parameters(self) -> dict[str, Any]:
        degradation = {"name": type(self.degradation).__name__.lower(), **dataclasses.asdict(self.degradation)}
        return {"degradation": degradation, "cut": dataclasses.asdict(self.cut), "seed": self.seed}

    def _usable(self, excluded: Tally, changed: Tally, progress: Callable[[str], None]) -> list[str]:
        names = self.photographs.names()
        usable: dict[str, str] = {}  # digest of the pixels -> name
        for done, name in enumerate(names):
            progress(f"checking {self.spec}: {done} of {len(names)} photographs")
            try:
                picture = self._read_one(name)
            except PictureError as error:
                excluded.add(error.reason, f"{name} ({error.detail})")
                continue
            photograph = picture.pixels
            if not self._has_room(photograph):
                excluded.add("too small", f"{name} ({photograph.shape[1]}x{photograph.shape[0]} px)")
                continue
            first = usable.setdefault(hashlib.sha256(photograph.tobytes()).hexdigest(), name)
            if first != name:
                excluded.add("copy", f"{name} (of {first})")
                continue
            changed.add_all(picture.changes, name)
        excluded.refuse_above(MAX_EXCLUDED_SHARE, len(names), f"photographs in {self.photographs.where}")
        return list(usable.values())

    def _has_room(self, photograph: Pixels) -> bool:
        if self.photographs.val_count(1, self.cut.patch_px):  # a split by photograph: room in one split is enough
            return bool(self.cut.windows(photograph.shape[0], photograph.shape[1], "val"))
        return all(self.pairing.windows_of_both(photograph).values())

    def _read(self, names: list[str], progress: Callable[[str], None]) -> Iterator[Pixels]:
        for done, name in enumerate(names):
            progress(f"packing {self.spec}: {done} of {len(names)} photographs")
            try:
                yield self._read_one(name).pixels
            except PictureError as error:
                where = self.photographs.where
                raise DataError(f"{name} in {where} changed while it was being read: {error}") from error

    def _read_one(self, name: str) -> Picture:
        return self.photographs.read(name, self.cut.max_side_px)
