"""Pairs from photographs: the photograph is the good camera's picture, the simulator makes the phone's.

Both are cut at the same windows. Training and validation never share a pixel, nor one that influenced both.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enhance.data.camera import Camera
from enhance.data.store import Pixels, StoreWriter

Window = tuple[int, int]  # top, left
Pair = tuple[Pixels, Pixels]  # input, target

CODE = ("patches.py", "camera.py", "pictures.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """How a photograph is cut. Windows of one split may overlap; those of different splits never do.

    max_train, max_val: the most windows that one photograph gives, evenly chosen, so that a large one does not drown
        the rest.
    max_side_px: larger photographs are reduced to this longer side first; their finest detail is rarely sharp.
    val_share: the share of the longer side that goes to validation where a photograph serves both splits.
    """

    patch_px: int = 100
    train_stride_px: int = 40
    val_stride_px: int = 75
    max_train: int = 120
    max_val: int = 24
    max_side_px: int = 1600
    val_share: float = 0.35

    def windows(self, height_px: int, width_px: int, split: str) -> list[Window]:
        """The windows of a photograph that serves one split only, row by row; empty where no patch fits."""
        stride_px, limit = (
            (self.train_stride_px, self.max_train) if split == "train" else (self.val_stride_px, self.max_val)
        )
        tops = range(0, height_px - self.patch_px + 1, stride_px)
        lefts = range(0, width_px - self.patch_px + 1, stride_px)
        windows = [(top, left) for top in tops for left in lefts]
        if len(windows) <= limit:
            return windows
        return [windows[i] for i in np.linspace(0, len(windows) - 1, limit).round().astype(int)]

    def windows_of_both(self, height_px: int, width_px: int, margin_px: int) -> dict[str, list[Window]]:
        """The windows of a photograph that serves both splits: validation at the far end of its longer side.

        `margin_px` pixels between the two belong to neither.
        """
        if height_px > width_px:
            turned = self.windows_of_both(width_px, height_px, margin_px)
            return {split: [(left, top) for top, left in windows] for split, windows in turned.items()}
        val_px = round(width_px * self.val_share)
        return {
            "train": self.windows(height_px, width_px - val_px - margin_px, "train"),
            "val": [(top, left + width_px - val_px) for top, left in self.windows(height_px, val_px, "val")],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """Everything that turns photographs into pairs; the `index` of a photograph seeds what is random in it."""

    camera: Camera = field(default_factory=Camera)
    cut: Cut = field(default_factory=Cut)
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """Every parameter, in JSON types."""
        return dataclasses.asdict(self)

    def windows_of_both(self, photograph: Pixels) -> dict[str, list[Window]]:
        """Where `photograph` is cut when it serves both splits, far enough apart for this camera."""
        return self.cut.windows_of_both(photograph.shape[0], photograph.shape[1], margin_px=2 * self.camera.reach_px)

    def add(self, writer: StoreWriter, split: str, photographs: Iterable[Pixels], first_index: int = 0) -> None:
        """Adds every pair of photographs that serve one split only; they are counted from `first_index`."""
        for index, photograph in enumerate(photographs, first_index):
            for pair in self._pairs(
                photograph, index, self.cut.windows(photograph.shape[0], photograph.shape[1], split)
            ):
                writer.add(split, *pair)

    def add_to_both(self, writer: StoreWriter, photographs: Iterable[Pixels]) -> None:
        """Adds every pair of photographs that serve both splits; few are meant, for their validation pairs are held."""
        held: list[Pair] = []
        for index, photograph in enumerate(photographs):
            windows = self.windows_of_both(photograph)
            pairs = self._pairs(photograph, index, windows["train"] + windows["val"])
            for pair in itertools.islice(pairs, len(windows["train"])):
                writer.add("train", *pair)
            held += [(image.copy(), target.copy()) for image, target in pairs]
        for pair in held:
            writer.add("val", *pair)

    def _pairs(self, photograph: Pixels, index: int, windows: list[Window]) -> Iterator[Pair]:
        phone = self.camera.photograph(photograph, np.random.default_rng([self.seed, index]))
        size_px = self.cut.patch_px
        for top, left in windows:
            here = slice(top, top + size_px), slice(left, left + size_px)
            yield phone[here], photograph[here]
