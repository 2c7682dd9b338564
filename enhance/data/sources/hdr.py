"""LDR-HDR pairs in the layout of HanbyolJang's LDR-HDR-pair_Dataset, the data of task C in Jain et al. (section 3.4).

Below, "the paper" is theirs, "Pix2Pix based Image Enhancement".

HDR/HDR_NNN.hdr is a scene; LDR_exposure_-2/LDR_NNN.jpg, LDR_exposure_0/... and LDR_exposure_+2/... are a camera's
pictures of it at three exposures, each of which forms a pair of its own, as in the paper. Scene numbers have gaps.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from enhance.data.reading.folders import Listing, absolute, format_spec, list_pictures
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import Picture, PictureError, Tally, read_picture, strict_pillow
from enhance.data.reading.srgb import Light, encode
from enhance.data.storage.cache import code_digest
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Patches, Pixels
from enhance.data.storage.store_writer import StoreWriter

TARGETS = "HDR"
INPUTS = ("LDR_exposure_-2", "LDR_exposure_0", "LDR_exposure_+2")
PATCH_PX = 256
VAL_SHARE = 20 / 176  # the paper tests on 20 of its 176 scenes
MAX_EXCLUDED_SHARE = 0.5
WHITE_PERCENTILE = 99.9
MAX_ASPECT_CHANGE = 0.01  # input and target may differ in size, but not in shape

_NUMBER = {TARGETS: re.compile(r"HDR_(\d+)\.hdr", re.IGNORECASE)} | dict.fromkeys(
    INPUTS, re.compile(r"LDR_(\d+)\.jpe?g", re.IGNORECASE)
)


@dataclass(frozen=True, slots=True)
class Hdr:
    """The scenes of one folder. The last ones by number are for validation, in the same proportion as in the paper.

    The shorter side of every picture is resized to `patch_px`, and windows covering the longer side are cut from it
    (the paper squeezes each picture to a square). All exposures of a scene are in the same split. A picture with
    exactly the pixels of another scene's is left out, because it could end up in both splits.
    """

    folder: Path
    patch_px: int = PATCH_PX

    @classmethod
    def find(cls, given: Path, patch_px: int = PATCH_PX) -> "Hdr":
        """The scenes in `given`. Raises DataError if a folder is missing or there are fewer than two scenes."""
        found = cls(absolute(given), patch_px)
        if len(found._scenes()) < 2:
            has = ", ".join(f"{name} {listing.contents()}" for name, listing in found._listings().items())
            raise DataError(
                f"{found.folder} must have at least two scenes: {TARGETS}/HDR_NNN.hdr with LDR_NNN.jpg; "
                f"its subfolders have {has}"
            )
        return found

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return "hdr"

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folder and its patch size unless that is the default."""
        return format_spec("hdr", self.folder, None if self.patch_px == PATCH_PX else self.patch_px)

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all files, the patch size, and a digest of the code."""
        return {
            "files": [listing.state() for listing in self._listings().values()],
            "patch_px": self.patch_px,
            "code": code_digest("sources/hdr.py", "reading/folders.py", *READING),
        }

    def pack(self, writer: StoreWriter, progress: Callable[[str], None]) -> dict[str, Any]:
        """Add all usable pairs. Raises DataError if too many had to be left out, or OpenCV is not installed."""
        scenes, excluded, changed, seen = self._scenes(), Tally(), Tally(), dict[str, str]()
        # `find` has checked that there are two scenes, so at least one is left for training.
        val_count = max(1, round(len(scenes) * VAL_SHARE))
        with strict_pillow():
            for done, number in enumerate(scenes):
                progress(f"packing {self.spec}: {done} of {len(scenes)} scenes")
                split = "train" if done < len(scenes) - val_count else "val"
                for image, target in self._scene(number, scenes[number], excluded, changed, seen):
                    writer.add(split, image, target)
        excluded.refuse_above(MAX_EXCLUDED_SHARE, len(INPUTS) * len(scenes), f"pairs in {self.folder}")
        return {
            "scenes": {"train": len(scenes) - val_count, "val": val_count},
            "excluded": excluded.summary(),
            "changed": changed.summary(),
            "ignored": self._ignored().summary(),
            "white_percentile": WHITE_PERCENTILE,
        }

    def _listings(self) -> dict[str, Listing]:
        suffixes = {TARGETS: (".hdr",)} | dict.fromkeys(INPUTS, (".jpg", ".jpeg"))
        return {name: list_pictures(self.folder / name, suffixes[name]) for name in suffixes}

    def _scenes(self) -> dict[str, dict[str, Path]]:
        """The files of each scene by folder, in the order of the scene numbers."""
        scenes: dict[str, dict[str, Path]] = {}
        for folder, listing in self._listings().items():
            for name in listing.pictures:
                if number := _NUMBER[folder].fullmatch(name):
                    scenes.setdefault(number[1], {})[folder] = listing.folder / name
        # By value, then by text, since a folder may hold both 7 and 007.
        return {number: scenes[number] for number in sorted(scenes, key=lambda number: (int(number), number))}

    def _ignored(self) -> Tally:
        ignored = Tally()
        for folder, listing in self._listings().items():
            for name in (*listing.pictures, *listing.others):
                if not _NUMBER[folder].fullmatch(name):
                    ignored.add("no scene number in the name", f"{folder}/{name}")
        return ignored

    def _scene(
        self, number: str, files: dict[str, Path], excluded: Tally, changed: Tally, seen: dict[str, str]
    ) -> Iterator[tuple[Pixels, Patches]]:
        """All pairs of one scene; those that cannot be used are counted one by one."""
        target: Patches | PictureError
        try:
            target = self._target(_partner(files, TARGETS))
            _refuse_copy(target, number, seen)
        except PictureError as error:  # raised below for each exposure, so that each pair is counted
            target = error
        for folder in INPUTS:
            try:
                if isinstance(target, PictureError):
                    raise target
                read = read_picture(_partner(files, folder))
                image = self._input(read, target)
                _refuse_copy(image, number, seen)
            except PictureError as error:
                excluded.add(error.reason, f"{folder}/LDR_{number} ({error.detail})")
                continue
            changed.add_all(read.changes, f"{folder}/LDR_{number}")
            for here in windows(target.shape, self.patch_px):
                yield image[here], target[here]

    def _target(self, path: Path) -> Patches:
        encoded = normalize(read_radiance(path))
        size = self._resized_size(encoded.shape[1], encoded.shape[0])
        # Pillow resizes floating-point pictures one channel at a time.
        channels = [Image.fromarray(encoded[..., i]).resize(size, Image.Resampling.LANCZOS) for i in range(3)]
        resized = np.stack([np.asarray(channel) for channel in channels], axis=-1)
        return np.asarray(np.rint(65535 * np.clip(resized, 0, 1)), np.uint16)  # the filter overshoots beside edges

    def _input(self, read: Picture, target: Patches) -> Pixels:
        """The exposure, resized to the target's size by the same filter."""
        image = Image.fromarray(read.pixels)
        height_px, width_px = target.shape[:2]
        if abs(image.width / image.height * height_px / width_px - 1) > MAX_ASPECT_CHANGE:
            shape = f"{image.width}x{image.height} px, but the HDR picture is {width_px}x{height_px} px"
            raise PictureError("different shape", shape)
        return np.asarray(image.resize((width_px, height_px), Image.Resampling.LANCZOS))

    def _resized_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        shorter_px = min(width_px, height_px)
        if shorter_px < self.patch_px:
            raise PictureError("too small", f"{width_px}x{height_px} px")
        return round(width_px * self.patch_px / shorter_px), round(height_px * self.patch_px / shorter_px)


def read_radiance(path: Path) -> Light:
    """Read the linear light of a Radiance .hdr file with OpenCV: (H, W, 3) float32 RGB.

    Raises PictureError, or DataError if OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise DataError("data='hdr:DIR' needs OpenCV to read .hdr files; pip install 'teststrip[hdr]'") from None
    try:
        read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise PictureError("unreadable", f"{path.name}: {error}") from error
    # OpenCV returns None for most files that it cannot read, instead of raising.
    if read is None or read.dtype != np.float32 or read.ndim != 3 or read.shape[2] != 3:
        raise PictureError("unreadable", f"{path.name} is not a complete Radiance file")
    if not np.isfinite(read).all() or read.min() < 0:
        raise PictureError("unreadable", f"{path.name} has values that are negative or not finite")
    return np.asarray(read[..., ::-1], np.float32)  # OpenCV reads BGR


def normalize(light: Light) -> Light:
    """Encode light of any unit as sRGB values in [0, 1], with the picture's 99.9th percentile as white.

    Takes and returns (H, W, 3) float32. The paper normalizes each HDR picture independently, without saying how. Its
    maximum would be a bad choice: a single reflection of the sun, thousands of times brighter than the rest, would turn
    everything else black. So one value in a thousand is clipped. The sRGB curve makes steps of the target about as
    visible as those of the input. Raises PictureError if nearly everything is black.
    """
    white = float(np.percentile(light, WHITE_PERCENTILE))
    if white <= 0:
        raise PictureError("black", "99.9 % of the values have no light")
    return encode(np.clip(light / np.float32(white), 0, 1)).astype(np.float32)


def windows(shape: tuple[int, ...], size_px: int) -> list[tuple[slice, slice]]:
    """The fewest windows of `size_px` that cover a picture whose shorter side is `size_px`, evenly spaced."""
    height_px, width_px = shape[:2]
    longer_px = max(height_px, width_px)
    starts = np.linspace(0, longer_px - size_px, math.ceil(longer_px / size_px)).round().astype(int)
    along = [slice(int(start), int(start) + size_px) for start in starts]
    across = slice(0, size_px)
    return [(across, here) if width_px >= height_px else (here, across) for here in along]


def _partner(files: dict[str, Path], folder: str) -> Path:
    if folder not in files:
        raise PictureError("no partner", f"missing in {folder}")
    return files[folder]


def _refuse_copy(picture: npt.NDArray[Any], number: str, seen: dict[str, str]) -> None:
    first = seen.setdefault(hashlib.sha256(picture.tobytes()).hexdigest(), number)
    if first != number:
        raise PictureError("copy", f"of scene {first}")
