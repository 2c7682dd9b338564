"""DPED's patches as unpacked: training_data/{PHONE,canon}/N.jpg and test_data/patches/{PHONE,canon}/N.jpg.

100x100 RGB JPEG; files of equal name are a pair; training_data is for training, test_data for validation. This is the
layout that the authors publish (Ignatov et al. 2017, "DSLR-Quality Photos on Mobile Devices with Deep Convolutional
Networks").
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enhance.data.reading.folders import Listing, absolute, by_number, format_spec, list_pictures, subfolders
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import Picture, PictureError, Tally, read_patch, strict_pillow
from enhance.data.storage.cache import code_digest
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import SPLITS
from enhance.data.storage.store_writer import StoreWriter

PATCH_PX = 100
MAX_EXCLUDED_SHARE = 0.1  # a few broken files happen; more than this means a different kind of data
TARGET = "canon"
FOLDERS = {"train": "training_data", "val": "test_data/patches"}

_CHUNK = 500  # pairs decoded ahead of the writer, to bound the memory

_Pair = tuple[Picture, Picture]  # the phone's and the good camera's


@dataclass(frozen=True, slots=True)
class Dped:
    """One phone's folder; `phone` is the name of the input folders inside it.

    A test pair with exactly the pixels of a training patch of either side is left out; its score would reward memory.
    """

    folder: Path
    phone: str

    @classmethod
    def find(cls, given: Path) -> "Dped":
        """The phone whose folder is `given`, or the only one inside it. Raises DataError saying what is missing."""
        folder = absolute(given)
        inside = subfolders(folder)
        if "training_data" not in inside:
            phones = [name for name in inside if os.path.isdir(folder / name / "training_data")]
            if not phones:
                raise DataError(
                    f"there is no training_data in {folder} or in its subfolders; "
                    f"the folder has {list_pictures(folder, ()).contents()}"
                )
            if len(phones) > 1:
                choices = ", ".join(f"dped:{given / phone}" for phone in phones)
                raise DataError(f"{folder} has several phones; choose from {choices}")
            folder = folder / phones[0]
        return cls(folder, _phone_name(folder))

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return f"dped-{self.phone}"

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folder."""
        return format_spec("dped", self.folder, None)

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all files, and a digest of the code that reads them."""
        states = {split: [listing.state() for listing in self._listings(split)] for split in SPLITS}
        return {"files": states, "code": code_digest("sources/dped.py", "reading/folders.py", *READING)}

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Add all usable pairs. Raises DataError if a split has none, or too many had to be left out."""
        counts = {what: Tally() for what in ("excluded", "identical", "changed", "ignored")}
        trained: dict[bytes, str] = {}
        with strict_pillow():
            for split in SPLITS:
                self._pack_split(split, writer, counts, trained, progress)
        for listing in (listing for split in SPLITS for listing in self._listings(split)):
            for name in listing.others:
                counts["ignored"].add("not a JPEG file", str((listing.folder / name).relative_to(self.folder)))
        by_reason = {what: tally.summary() for what, tally in counts.items()}
        return {**by_reason, "identical": counts["identical"].of("identical")}

    def _listings(self, split: str) -> tuple[Listing, Listing]:
        folder = self.folder / FOLDERS[split]
        phone, target = (list_pictures(folder / name, (".jpg", ".jpeg")) for name in (self.phone, TARGET))
        return phone, target

    def _pack_split(
        self,
        split: str,
        writer: StoreWriter,
        counts: dict[str, Tally],
        trained: dict[bytes, str],
        progress: Callable[[str], None],
    ) -> None:
        """Add one split; `trained` maps the digests of all training patches so far to their pairs."""
        phone, target = self._listings(split)
        names = sorted({*phone.pictures, *target.pictures}, key=by_number)
        if not names:
            raise DataError(
                f"there is no N.jpg in {phone.folder} and {target.folder}; "
                f"they have {phone.contents()} and {target.contents()}"
            )
        excluded = Tally()
        for done, (name, read) in enumerate(self._read_all(names, phone, target)):
            place = f"{FOLDERS[split]}/{name}"
            if done % _CHUNK == 0:
                progress(f"packing {self.spec}: {done} of {len(names)} {split} pairs")
            try:
                image, patch = _whole(read)
                _refuse_trained(split, (image, patch), place, trained)
            except PictureError as error:
                excluded.add(error.reason, f"{place} ({error.detail})")
                continue
            for side, picture in zip((self.phone, TARGET), (image, patch), strict=True):
                counts["changed"].add_all(picture.changes, f"{FOLDERS[split]}/{side}/{name}")
            if np.array_equal(image.pixels, patch.pixels):
                counts["identical"].add("identical", place)
            writer.add(split, image.pixels, patch.pixels)
        excluded.refuse_above(MAX_EXCLUDED_SHARE, len(names), f"pairs in {self.folder / FOLDERS[split]}")
        counts["excluded"].update(excluded)

    def _read_all(
        self, names: list[str], phone: Listing, target: Listing
    ) -> Iterator[tuple[str, "_Pair | PictureError"]]:
        there = set(phone.pictures), set(target.pictures)

        def read(name: str) -> _Pair | PictureError:
            for names_there, folder in zip(there, (self.phone, TARGET), strict=True):
                if name not in names_there:
                    return PictureError("no partner", f"missing in {folder}")
            try:
                return read_patch(phone.folder / name, PATCH_PX), read_patch(target.folder / name, PATCH_PX)
            except PictureError as error:
                return error

        # Threads are enough: Pillow gives up the interpreter's lock while it decodes.
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(names), _CHUNK):  # pool.map alone would decode everything at once
                chunk = names[start : start + _CHUNK]
                yield from zip(chunk, pool.map(read, chunk), strict=True)


def _whole(read: "_Pair | PictureError") -> _Pair:
    if isinstance(read, PictureError):
        raise read
    return read


def _refuse_trained(split: str, pair: _Pair, place: str, trained: dict[bytes, str]) -> None:
    """Raise PictureError if a patch of a test pair has exactly the pixels of a training patch of either side."""
    for picture in pair:
        digest = hashlib.sha256(picture.pixels.tobytes()).digest()
        # SPLITS has "train" first, so all training patches are known when the first test pair comes.
        if split == "train":
            trained.setdefault(digest, place)
        elif digest in trained:
            raise PictureError("copy of a training picture", f"of {trained[digest]}")


def _phone_name(folder: Path) -> str:
    inputs = [name for name in subfolders(folder / FOLDERS["train"]) if name != TARGET]
    if folder.name in inputs:
        return folder.name
    if len(inputs) == 1:
        return inputs[0]
    found = f"it has {', '.join(inputs)}" if inputs else "there is none"
    raise DataError(f"{folder / FOLDERS['train']} must have one folder of phone patches next to {TARGET}, but {found}")
