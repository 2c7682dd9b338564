"""A side of the training data as a source of crops: gathered on the host, or on the device from a copy of the side.

Both give the same pixels. On the host, the store's mapped file is read and only the crops travel; on a GPU, a copy of
the whole side saves that journey, and only indices travel.
"""

import functools
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from enhance.data import PatchStore
from enhance.data.batches import BatchPlan, Pictures, gather
from enhance.training.staging import Staged

RESIDENT_SHARE = 0.25
"""At most this share of a GPU's memory is spent on copies of the training data; larger data stay on the host."""

_UPLOAD = 1024
"""Pictures per copy to a GPU: few copies, and little memory of the host."""


class Crops(Protocol):
    """Crops of one side (N, H, W, 3) of the data, for a slot of a step's batches."""

    def stage(self, slot: str, plan: BatchPlan) -> None:
        """Prepare the crops of `plan` on the host."""
        ...

    def read(self, slot: str) -> Tensor:
        """The crops that were staged last, (B, 3, crop_px, crop_px) float32 in [0, 1], in channels-last memory."""
        ...


class HostCrops:
    """Cuts the crops on the host and stages their pixels."""

    def __init__(self, side: Pictures, staged: Staged, name: str) -> None:
        self._side, self._staged, self._name = side, staged, name

    def stage(self, slot: str, plan: BatchPlan) -> None:
        self._staged.put(f"{slot} {self._name} pixels", gather(self._side, plan))

    def read(self, slot: str) -> Tensor:
        return as_images(self._staged[f"{slot} {self._name} pixels"])


class DeviceCrops:
    """Stages the places of the crops and cuts them on the device, from `pictures` (N, H, W, 3), which lie there."""

    def __init__(self, pictures: Tensor, staged: Staged, name: str) -> None:
        self._pictures, self._staged, self._name = pictures, staged, name

    def stage(self, slot: str, plan: BatchPlan) -> None:
        self._staged.put(f"{slot} {self._name} indices", plan.indices)
        self._staged.put(f"{slot} {self._name} rows", _ticks(plan.tops, plan.flip_vertical, plan.crop_px))
        self._staged.put(f"{slot} {self._name} columns", _ticks(plan.lefts, plan.flip_horizontal, plan.crop_px))

    def read(self, slot: str) -> Tensor:
        indices, rows, columns = (
            self._staged[f"{slot} {self._name} {part}"] for part in ("indices", "rows", "columns")
        )
        return as_images(self._pictures[indices[:, None, None], rows[:, :, None], columns[:, None, :]])


def as_images(pixels: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 or uint16 to (N, 3, H, W) float32 in [0, 1], in channels-last memory."""
    top = torch.iinfo(pixels.dtype).max
    return pixels.permute(0, 3, 1, 2).float().div_(top)


def train_crops(data: PatchStore, side: str, part: slice, staged: Staged) -> Crops:
    """The crops of `part` of a `side` ("input" or "target") of the training data, where the device wants them cut."""
    pictures: Pictures = getattr(data, f"train_{side}")
    if staged.device.type == "cuda" and _fits(data, staged.device):
        return DeviceCrops(_resident(data.path, data.fingerprint, side, str(staged.device))[part], staged, side)
    return HostCrops(pictures[part], staged, side)


def _fits(data: PatchStore, device: torch.device) -> bool:
    """Whether both sides of the training data may be copied to a GPU (RESIDENT_SHARE)."""
    total = torch.cuda.get_device_properties(device).total_memory
    return data.train_input.nbytes + data.train_target.nbytes <= RESIDENT_SHARE * total


@functools.lru_cache(maxsize=2)  # both sides of one data set: a worker's trials all train on the same
def _resident(path: Path, fingerprint: str, side: str, device: str) -> Tensor:
    pictures: Pictures = getattr(PatchStore.open(path), f"train_{side}")
    copy = torch.empty(pictures.shape, dtype=as_tensor(pictures[:0]).dtype, device=device)
    for first in range(0, len(pictures), _UPLOAD):
        copy[first : first + _UPLOAD] = as_tensor(pictures[first : first + _UPLOAD])
    return copy


def as_tensor(pictures: Pictures) -> Tensor:
    """A copy of pictures of the store, which are read-only and lie between those of the other side."""
    return torch.from_numpy(pictures.copy(order="C"))


def _ticks(first: npt.NDArray[np.int64], flipped: npt.NDArray[np.bool_], crop_px: int) -> npt.NDArray[np.int64]:
    """The rows or columns (B, crop_px) of each crop, from last to first where it is flipped."""
    forth = np.arange(crop_px)
    return first[:, None] + np.where(flipped[:, None], forth[::-1], forth)
