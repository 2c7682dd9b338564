"""Cutting photographs into patches, and pairing them with degraded versions of themselves."""

from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from enhance.data.storage.store import Pixels
from enhance.data.storage.store_writer import StoreWriter

Window = tuple[int, int]  # top, left
Pair = tuple[Pixels, Pixels]  # input, target


class Degradation(Protocol):
    """Turns a good photograph into worse ones. A dataclass, because its fields are recorded in a store's summary."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    CODE: ClassVar[tuple[str, ...]]  # the files of this package that determine the pixels

    @property
    def reach_px(self) -> int:
        """How far a pixel of the photograph can influence the result, along either axis."""

    def degrade(self, photograph: Pixels, rng: np.random.Generator) -> tuple[Pixels, ...]:
        """Turn an (H, W, 3) photograph into one or more pictures of its shape, always the same number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """How to cut a photograph. Windows of the same split may overlap; those of different splits never do.

    max_train, max_val: the largest number of windows per photograph, evenly spaced, so that one large photograph does
        not dominate the set.
    max_side_px: photographs with a longer side are reduced to this size first; their finest detail is rarely sharp.
    val_share: the share of the longer side used for validation, if a photograph serves both splits.
    """

    patch_px: int = 100
    train_stride_px: int = 40
    val_stride_px: int = 75
    max_train: int = 120
    max_val: int = 24
    max_side_px: int = 1600
    val_share: float = 0.35

    def windows(self, height_px: int, width_px: int, split: str) -> list[Window]:
        """The windows (top, left) of a photograph that serves one split, row by row; empty if no patch fits."""
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
        """The windows of a photograph that serves both splits; validation is at the far end of its longer side.

        Between the two are `margin_px` pixels that belong to neither.
        """
        if height_px > width_px:
            # Transpose, so that the longer side is always the width.
            turned = self.windows_of_both(width_px, height_px, margin_px)
            return {split: [(left, top) for top, left in windows] for split, windows in turned.items()}
        val_px = round(width_px * self.val_share)
        return {
            "train": self.windows(height_px, width_px - val_px - margin_px, "train"),
            "val": [(top, left + width_px - val_px) for top, left in self.windows(height_px, val_px, "val")],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Turns photographs into pairs: the photograph is the target, each degraded version of it an input.

    All are cut at the same windows, and each window gives one pair per degraded version. Randomness comes from `seed`
    and the photograph's index.
    """

    degradation: Degradation
    cut: Cut
    seed: int

    def windows_of_both(self, photograph: Pixels) -> dict[str, list[Window]]:
        """The windows of a photograph that serves both splits, so far apart that no pixel influences both."""
        margin_px = 2 * self.degradation.reach_px
        return self.cut.windows_of_both(photograph.shape[0], photograph.shape[1], margin_px)

    def add(self, writer: StoreWriter, split: str, photographs: Iterable[Pixels], first_index: int = 0) -> None:
        """Add all pairs of photographs that serve one split; their indices start at `first_index`."""
        for index, photograph in enumerate(photographs, first_index):
            windows = self.cut.windows(photograph.shape[0], photograph.shape[1], split)
            for pair in self._pairs(photograph, self._degrade(photograph, index), windows):
                writer.add(split, *pair)

    def add_to_both(self, writer: StoreWriter, photographs: Iterable[Pixels]) -> None:
        """Add all pairs of photographs that serve both splits. Meant for few: their validation pairs stay in memory."""
        held: list[Pair] = []  # a store takes all training pairs first
        for index, photograph in enumerate(photographs):
            windows, degraded = self.windows_of_both(photograph), self._degrade(photograph, index)
            for pair in self._pairs(photograph, degraded, windows["train"]):
                writer.add("train", *pair)
            pairs = self._pairs(photograph, degraded, windows["val"])
            held += [(image.copy(), target.copy()) for image, target in pairs]  # views would keep whole photographs
        for pair in held:
            writer.add("val", *pair)

    def _degrade(self, photograph: Pixels, index: int) -> tuple[Pixels, ...]:
        return self.degradation.degrade(photograph, np.random.default_rng([self.seed, index]))

    def _pairs(self, photograph: Pixels, degraded: tuple[Pixels, ...], windows: list[Window]) -> Iterator[Pair]:
        size_px = self.cut.patch_px
        for top, left in windows:
            here = slice(top, top + size_px), slice(left, left + size_px)
            for image in degraded:
                yield image[here], photograph[here]
