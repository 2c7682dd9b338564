"""Two unpaired image sets in the layout of CycleGAN's datasets: folders trainA, trainB, testA, testB of JPEGs.

In iphone2dslr_flower, which Keras' CycleGAN example uses, A is the phone and B the DSLR. Here A becomes the inputs and
B the targets; the train folders are for training, the test folders for validation.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from enhance.data.reading.folders import Listing, absolute, format_spec, list_pictures
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import PictureError, Tally, read_picture, strict_pillow
from enhance.data.storage.cache import code_digest
from enhance.data.storage.store import Pixels
from enhance.data.storage.store_writer import StoreWriter

FOLDERS = {
    ("train", "input"): "trainA",
    ("train", "target"): "trainB",
    ("val", "input"): "testA",
    ("val", "target"): "testB",
}
PATCH_PX = 286  # CycleGAN resizes to 286 px and takes random crops of 256 px during training
MAX_ENLARGEMENT = 2  # CycleGAN's own pictures of 256 px become 286 px; beyond twice, most pixels would be made up
MAX_EXCLUDED_SHARE = 0.5  # as for one's own photographs

_PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Unpaired:
    """The four folders. Each picture's shorter side is resized to `patch_px` (bicubic, as in CycleGAN's code), then the
    central square is cut out.

    A test picture with exactly the pixels of a training picture of either side is left out: the EnhanceGAN
    re-implementation (Kwan 2025) reused its split folders without clearing them, so all of its test pairs were training
    pairs too. A copy saved with a different JPEG quality has different pixels and goes unnoticed.
    """

    folder: Path
    patch_px: int = PATCH_PX

    @classmethod
    def find(cls, given: Path, patch_px: int = PATCH_PX) -> "Unpaired":
        """The folders in `given`. Raises DataError if one is missing or has no JPEG."""
        found = cls(absolute(given), patch_px)
        for listing in found._listings().values():
            if not listing.pictures:
                raise listing.none_of("*.jpg or *.jpeg")
        return found

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return "unpaired"

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folder and its picture size unless that is the default."""
        return format_spec("unpaired", self.folder, None if self.patch_px == PATCH_PX else self.patch_px)

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all files, the picture size, and a digest of the code."""
        return {
            "files": [listing.state() for listing in self._listings().values()],
            "patch_px": self.patch_px,
            "code": code_digest("sources/unpaired.py", "reading/folders.py", *READING),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Add all usable pictures. Raises DataError if too many of a folder had to be left out."""
        excluded, changed, ignored, trained = Tally(), Tally(), Tally(), dict[str, str]()
        with strict_pillow():
            for (split, side), listing in self._listings().items():
                excluded.update(self._pack_folder(split, side, listing, writer, changed, trained, progress))
                for name in listing.others:
                    ignored.add("not a JPEG file", f"{listing.folder.name}/{name}")
        return {"excluded": excluded.summary(), "changed": changed.summary(), "ignored": ignored.summary()}

    def _listings(self) -> dict[tuple[str, str], Listing]:
        return {key: list_pictures(self.folder / name, (".jpg", ".jpeg")) for key, name in FOLDERS.items()}

    def _pack_folder(
        self,
        split: str,
        side: str,
        listing: Listing,
        writer: StoreWriter,
        changed: Tally,
        trained: dict[str, str],
        progress: Callable[[str], None],
    ) -> Tally:
        """Add one folder; `trained` maps the digest of each training picture so far to its name."""
        excluded = Tally()
        for done, name in enumerate(listing.pictures):
            place = f"{listing.folder.name}/{name}"
            if done % _PROGRESS_EVERY == 0:
                progress(f"packing {self.spec}: {done} of {len(listing.pictures)} pictures in {listing.folder.name}")
            try:
                read = read_picture(listing.folder / name)
                picture = self._square(read.pixels)
                digest = hashlib.sha256(picture.tobytes()).hexdigest()
                # Both train folders come first in FOLDERS, so every training picture is known here.
                if split == "train":
                    trained.setdefault(digest, place)
                elif digest in trained:
                    raise PictureError("copy of a training picture", f"of {trained[digest]}")
            except PictureError as error:
                excluded.add(error.reason, f"{place} ({error.detail})")
                continue
            changed.add_all(read.changes, place)
            writer.add_side(split, side, picture)
        excluded.refuse_above(MAX_EXCLUDED_SHARE, len(listing.pictures), f"pictures in {listing.folder}")
        return excluded

    def _square(self, pixels: Pixels) -> Pixels:
        image = Image.fromarray(pixels)
        shorter_px = min(image.size)
        if shorter_px * MAX_ENLARGEMENT < self.patch_px:
            detail = f"{image.width}x{image.height} px; it would be enlarged more than {MAX_ENLARGEMENT} times"
            raise PictureError("too small", detail)
        width_px, height_px = (round(side_px * self.patch_px / shorter_px) for side_px in image.size)
        resized = image.resize((width_px, height_px), Image.Resampling.BICUBIC)
        left, top = (width_px - self.patch_px) // 2, (height_px - self.patch_px) // 2
        return np.asarray(resized.crop((left, top, left + self.patch_px, top + self.patch_px)))
