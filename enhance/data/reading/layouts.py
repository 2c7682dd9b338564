"""Where the two sides of aligned pairs lie: the layouts in which data sets of pairs are published, found by name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from enhance.data.reading.folders import by_number, list_pictures, subfolders
from enhance.data.reading.pictures import Tally
from enhance.data.storage.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
SIDES = (
    ("low", "high"),
    ("low", "normal"),
    ("input", "target"),
    ("input", "gt"),
    ("input", "expert*"),
    ("raw", "expert*"),
    ("lq", "gt"),
    ("a", "b"),
)
"""Folder names of inputs and targets, in any case: LOL, LOL-v2, and those of many others, FiveK, BasicSR, pix2pix."""

SPLITS = {
    "train": ("train", "training", "our485"),
    "val": ("val", "valid", "validation", "eval", "eval15"),
    "test": ("test", "testing"),
}
"""Folder names of the published splits, in any case; our485 and eval15 are LOL's."""

LISTS = {"train": ("train.txt",), "val": ("val.txt", "test.txt")}
"""File names of the published splits; of several for one split, the first that is there counts."""

KNOWN = (
    f"known are folders {', '.join('/'.join(sides) for sides in SIDES)}, alone or with {', '.join(SPLITS)} above or "
    "below them, and pictures with the input in the left half and the target in the right one"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One folder of inputs and one of targets; without targets, each picture holds its input left, its target right.

    split: "train", "val" or "test" as published, or "" if the folders do not say.
    """

    split: str
    inputs: Path
    targets: Path | None = None

    def folders(self) -> tuple[Path, ...]:
        """The folders to list."""
        return (self.inputs,) if self.targets is None else (self.inputs, self.targets)

    def names(self, ignored: Tally) -> list[tuple[str, ...]]:
        """The file names of each pair, in the order of their numbers; equal names up to the suffix make a pair."""
        sides = []
        for folder in self.folders():
            listing, side = list_pictures(folder, SUFFIXES), dict[str, str]()
            for name in sorted(set(listing.others).difference(*LISTS.values())):
                # Its remedy stands in the reason, because the report has room for nothing else.
                ignored.add("not a JPEG or PNG file (convert pictures to PNG)", str(folder / name))
            stems = Counter(stem_of(name) for name in listing.pictures)
            for name in listing.pictures:
                if stems[stem_of(name)] == 1:
                    side[stem_of(name)] = name
                else:
                    ignored.add("several pictures with this name", str(folder / name))
            sides.append(side)
        common = set(sides[0]).intersection(*sides)
        for folder, side in zip(self.folders(), sides, strict=True):
            for stem in sorted(side.keys() - common):
                ignored.add("no partner", str(folder / side[stem]))
        return [tuple(side[stem] for side in sides) for stem in sorted(common, key=lambda stem: by_number(f"{stem}."))]


def stem_of(name: str) -> str:
    """A file name without its suffix."""
    return name.rpartition(".")[0]


def places_in(folder: Path) -> list[Place]:
    """The places of a data set's folder. Raises DataError saying what is there and which layouts are known."""
    sides = _sides_in(folder)
    if sides:
        return places_below(*sides)
    places = []
    for split, inside in _splits_in(folder).items():
        sides = _sides_in(inside)
        if sides:
            places.append(Place(split, *sides))
        elif list_pictures(inside, SUFFIXES).pictures:
            places.append(Place(split, inside))
    listing = list_pictures(folder, SUFFIXES)
    if places and listing.pictures:
        raise DataError(f"{folder} has pictures beside its split folders, so they have no split; move them into one")
    if listing.pictures:
        places = [Place("", folder)]
    if not places:
        raise DataError(f"there are no aligned pairs in {folder}; the folder has {listing.contents()}; {KNOWN}")
    return places


def places_below(inputs: Path, targets: Path) -> list[Place]:
    """The places of two folders: their subfolders of equal splits if there are any, else the folders themselves."""
    splits, others = _splits_in(inputs), _splits_in(targets)
    places = [Place(split, splits[split], others[split]) for split in SPLITS if split in splits and split in others]
    return places or [Place("", inputs, targets)]


def _sides_in(folder: Path) -> tuple[Path, Path] | None:
    """The folders of inputs and targets in `folder`. Raises DataError if there are several."""
    inside = subfolders(folder)
    found = [
        (folder / first, folder / second)
        for inputs, targets in SIDES
        for first in inside
        for second in inside
        if _is(first, inputs) and _is(second, targets)
    ]
    if len(found) > 1:
        choices = ", ".join(f"aligned:{first}:{second}" for first, second in found)
        raise DataError(f"{folder} has several folders of inputs or targets; choose from {choices}")
    return found[0] if found else None


def _is(name: str, sought: str) -> bool:
    start, star, _ = sought.partition("*")
    return name.lower().startswith(start) if star else name.lower() == sought


def _splits_in(folder: Path) -> dict[str, Path]:
    """The folders of the published splits in `folder`. Raises DataError if two have the same meaning."""
    splits: dict[str, Path] = {}
    for name in subfolders(folder):
        for split, names in SPLITS.items():
            if name.lower() in names and splits.setdefault(split, folder / name) != folder / name:
                raise DataError(f"{splits[split]} and {folder / name} both name the {split} split; rename one of them")
    return {split: splits[split] for split in SPLITS if split in splits}
