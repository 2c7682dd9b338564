"""Pairs that are already aligned, in any of the layouts of `enhance.data.reading.layouts`, cut into patches."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enhance.data.degradations.patches import Cut
from enhance.data.reading.folders import absolute, format_spec, list_pictures
from enhance.data.reading.layouts import LISTS, SUFFIXES, Place, places_below, places_in, stem_of
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import Picture, PictureError, Tally, read_picture, strict_pillow
from enhance.data.storage.cache import code_digest
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels
from enhance.data.storage.store_writer import StoreWriter

VAL_EVERY = 5  # without a published split, one pair in five is for validation
MAX_EXCLUDED_SHARE = 0.5  # as for one's own photographs
CODE = ("sources/aligned.py", "degradations/patches.py", "reading/folders.py", "reading/layouts.py", *READING)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one pair: its input and its target, or one picture that holds both."""

    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Its first file, to be named in the summary."""
        return str(self.files[0])


@dataclass(frozen=True, slots=True)
class Aligned:
    """Pairs of equal size, cut at the same windows and never reduced: their pixels are taken as they are.

    The split is the published one: by folder (validation is `val`, or `test` where there is no `val`), else by the
    lists train.txt, val.txt or test.txt, else the last fifth of the pairs by name is for validation. A validation pair
    with exactly the pixels of a training picture of either side is left out.
    """

    folders: tuple[Path, ...]
    places: tuple[Place, ...]
    cut: Cut = field(default_factory=Cut)

    @classmethod
    def parse(cls, where: str, patch_px: int) -> "Aligned":
        """The source named by "DIR" or "INPUT_DIR:TARGET_DIR". Raises DataError if there is no pair."""
        parts = where.split(":")
        if len(parts) > 2 or not all(parts):
            raise DataError(
                f"aligned:{where} must name one folder or two, as in aligned:DIR or aligned:INPUT_DIR:TARGET_DIR; if a "
                "folder's name has a colon, make a link to it whose name has none"
            )
        folders = tuple(absolute(Path(part)) for part in parts)
        for folder in folders:
            if ":" in str(folder):
                raise DataError(f"the folder {folder} has a colon in its name, but a colon separates two folders")
        if len(set(folders)) < len(folders):
            raise DataError(f"inputs and targets must be in two folders, not both in {folders[0]}")
        places = places_below(*folders) if len(folders) == 2 else places_in(*folders)
        found = cls(folders, tuple(places), Cut(patch_px=patch_px))
        if not any(place.names(Tally()) for place in places):
            inside = [folder for place in places for folder in place.folders()]
            has = "; ".join(f"{folder} has {list_pictures(folder, SUFFIXES).contents()}" for folder in inside)
            raise DataError(f"aligned:{where} has no pictures of equal name: {has}")
        return found

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return "aligned"

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folders and its patch size unless that is the default."""
        size_px = None if self.cut.patch_px == Cut().patch_px else self.cut.patch_px
        return format_spec("aligned", ":".join(map(str, self.folders)), size_px)

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all pictures, the lists, how patches are cut, and a digest of the code."""
        folders = [folder for place in self.places for folder in place.folders()]
        return {
            "files": {str(folder): list_pictures(folder, SUFFIXES).state() for folder in folders},
            "lists": {split: sorted(stems) for split, stems in self._lists().items()},
            "cut": dataclasses.asdict(self.cut),
            "code": code_digest(*CODE),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Add the patches of all usable pairs. Raises DataError if too many cannot be used."""
        counts = {what: Tally() for what in ("excluded", "identical", "changed", "ignored")}
        splits, by = self._splits(counts["excluded"], counts["ignored"])
        total, usable, trained = counts["excluded"].total + sum(map(len, splits.values())), 0, dict[bytes, str]()
        with strict_pillow():
            for split, pairs in splits.items():
                for done, pair in enumerate(pairs):
                    progress(f"packing {self.spec}: {done} of {len(pairs)} {split} pairs")
                    try:
                        self._add(writer, split, pair, counts, trained)
                        usable += 1
                    except PictureError as error:
                        counts["excluded"].add(error.reason, f"{pair.name} ({error.detail})")
        counts["excluded"].refuse_above(MAX_EXCLUDED_SHARE, total, f"pairs of {self.spec}")
        return {
            "photographs": {"pairs": total, "usable": usable, "split": by},
            **{what: tally.summary() for what, tally in counts.items()},
            "identical": counts["identical"].of("identical"),
            "cut": dataclasses.asdict(self.cut),
        }

    def _add(
        self, writer: StoreWriter, split: str, pair: Pair, counts: dict[str, Tally], trained: dict[bytes, str]
    ) -> None:
        """Add the patches of one pair; `trained` maps the digest of each training picture to its pair."""
        pictures = [read_picture(file) for file in pair.files]
        image, target = _sides(pictures)
        if image.shape != target.shape:
            raise PictureError("sizes differ", f"input {_size(image)}, target {_size(target)}; make them equal")
        windows = self.cut.windows(image.shape[0], image.shape[1], split)
        if not windows:
            raise PictureError("too small", f"{_size(image)}; choose patches smaller than {self.cut.patch_px} px")
        for side in (image, target):
            digest = hashlib.sha256(side.tobytes()).digest()
            if split == "train":
                trained.setdefault(digest, pair.name)
            elif digest in trained:
                raise PictureError("copy of a training picture", f"of {trained[digest]}")
        for file, picture in zip(pair.files, pictures, strict=True):
            counts["changed"].add_all(picture.changes, str(file))
        if np.array_equal(image, target):
            counts["identical"].add("identical", pair.name)
        for top, left in windows:
            here = slice(top, top + self.cut.patch_px), slice(left, left + self.cut.patch_px)
            writer.add(split, image[here], target[here])

    def _splits(self, excluded: Tally, ignored: Tally) -> tuple[dict[str, list[Pair]], str]:
        """The pairs of training and validation, and what divides them."""
        found: dict[str, list[Pair]] = {}
        for place in self.places:
            pairs = [
                Pair(tuple(folder / name for folder, name in zip(place.folders(), names, strict=True)))
                for names in place.names(ignored)
            ]
            found.setdefault(place.split, []).extend(pairs)
        if "val" in found or "test" in found:
            if "val" in found:
                for pair in found.pop("test", []):
                    ignored.add("kept for a final test, because there is a val split", pair.name)
            return {"train": found.get("train", []), "val": found.get("val", found.get("test", []))}, "by folder"
        pairs = [pair for group in found.values() for pair in group]
        lists = self._lists()
        if lists:
            return _by_list(pairs, lists, excluded), "by list"
        if len(pairs) < VAL_EVERY:
            raise DataError(
                f"{self.spec} has {len(pairs)} pairs; without a published split at least {VAL_EVERY} are needed, "
                "because no picture may serve both training and validation"
            )
        first_of_val = len(pairs) - len(pairs) // VAL_EVERY
        return {"train": pairs[:first_of_val], "val": pairs[first_of_val:]}, "by picture"

    def _lists(self) -> dict[str, frozenset[str]]:
        """The stems in the published lists, which lie in the data set's folder, or beside its two folders."""
        folder = self.folders[0] if len(self.folders) == 1 else self.folders[0].parent
        lists = {}
        for split, names in LISTS.items():
            for path in (folder / name for name in names):
                if split not in lists and path.is_file():
                    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
                    lists[split] = frozenset(_listed(line.strip()) for line in lines if line.strip())
        return lists


def _by_list(pairs: list[Pair], lists: dict[str, frozenset[str]], excluded: Tally) -> dict[str, list[Pair]]:
    """Divide pairs by the lists; with one list alone, the other pairs are the other split."""
    splits: dict[str, list[Pair]] = {"train": [], "val": []}
    for pair in pairs:
        listed = [split for split, stems in lists.items() if stem_of(pair.files[0].name) in stems]
        if not listed and len(lists) == 1:
            listed = [split for split in splits if split not in lists]
        if len(listed) == 1:
            splits[listed[0]].append(pair)
        elif listed:
            excluded.add("in both lists", f"{pair.name} (remove it from one)")
        else:
            excluded.add("in no list", f"{pair.name} (add it to one)")
    return splits


def _listed(line: str) -> str:
    """The stem that a line names, as a name or a path, with or without a picture's suffix."""
    name = line.replace("\\", "/").rpartition("/")[2]
    return stem_of(name) if name.lower().endswith(SUFFIXES) else name


def _sides(pictures: list[Picture]) -> tuple[Pixels, Pixels]:
    """Input and target; of a single picture, its halves. Raises PictureError if it is not twice as wide as high."""
    if len(pictures) == 2:
        return pictures[0].pixels, pictures[1].pixels
    both = pictures[0].pixels
    half_px = both.shape[0]
    # The rule of all of pix2pix's sets; it keeps a folder of ordinary photographs from being cut in two.
    if both.shape[1] != 2 * half_px:
        raise PictureError("not side by side", f"{_size(both)}, not twice as wide as high; use two folders")
    return both[:, :half_px], both[:, half_px:]


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} px"
