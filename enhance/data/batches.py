"""The patches, crops and flips of each batch, as a pure function of stream, seed and step.

Philox is counter-based: the numbers of any step are available directly, so a resumed trial, a trial in a reused worker
and a trial next to others all see the same batches.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[Any]  # (N, H, W, 3), uint8 or uint16


class Stream(IntEnum):
    """The uses of random numbers; for one seed, each use has an independent stream."""

    # The values are part of the generators' keys: add new ones at the end, or every trial's numbers change.
    GENERATOR = 0
    CRITIC = 1
    COIN = 2
    COLOR = 3
    OTHER_SIDE = 4
    POOL = 5
    PENALTY = 6
    DROPOUT = 7


@dataclass(frozen=True, eq=False, slots=True)
class BatchPlan:
    """One batch: for each of its B samples a patch index, the crop's corner in px, and the flips applied after it."""

    crop_px: int
    indices: npt.NDArray[np.int64]
    tops: npt.NDArray[np.int64]
    lefts: npt.NDArray[np.int64]
    flip_horizontal: npt.NDArray[np.bool_]
    flip_vertical: npt.NDArray[np.bool_]


def generator_at(seed: int, step: int, *, stream: int) -> np.random.Generator:
    """An independent generator for every (stream, seed, step), each a whole number from 0 to 2**64 - 1."""
    for name, value in (("seed", seed), ("step", step), ("stream", stream)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name}={value!r} must be a whole number from 0 to 2**64 - 1")
    # The step is the counter's highest word: 2**192 blocks lie between two steps, so they never overlap.
    bits = np.random.Philox(key=np.array([seed, stream], np.uint64), counter=np.array([0, 0, 0, step], np.uint64))
    return np.random.Generator(bits)


def batch_plan(
    seed: int,
    step: int,
    *,
    count: int,
    size_px: int,
    batch_size: int,
    crop_px: int,
    flips: bool,
    stream: int = Stream.GENERATOR,
) -> BatchPlan:
    """The plan of `step`: `batch_size` of `count` patches with replacement, random crops, and flips half of the time.

    The choice of patches does not depend on `crop_px` and `flips`. Raises ValueError if the crop is larger than the
    patches (`size_px`), or a number is not positive.
    """
    for name, value in (("count", count), ("batch_size", batch_size), ("crop_px", crop_px)):
        if value < 1:
            raise ValueError(f"{name}={value!r} is not allowed: it must be at least 1")
    if crop_px > size_px:
        raise ValueError(f"crop_px={crop_px} is larger than the patches: it must be from 1 to {size_px}")
    # One call draws everything, always five rows: a setting must not shift the numbers of another.
    uniform = generator_at(seed, step, stream=stream).random((5, batch_size))
    # Scaled and rounded down: `Generator.integers` may reject a draw and take another, which shifts all later ones.
    corners = size_px - crop_px + 1
    return BatchPlan(
        crop_px=crop_px,
        indices=(uniform[0] * count).astype(np.int64),
        tops=(uniform[1] * corners).astype(np.int64),
        lefts=(uniform[2] * corners).astype(np.int64),
        flip_horizontal=(uniform[3] < 0.5) & flips,
        flip_vertical=(uniform[4] < 0.5) & flips,
    )


def gather(patches: Pictures, plan: BatchPlan) -> Pictures:
    """Cut the planned crops from (N, H, W, 3) patches into a new contiguous array (B, crop_px, crop_px, 3).

    Gathering inputs and targets with the same plan keeps them aligned.
    """
    crop_px = plan.crop_px
    # Every crop is copied once, flipped on the way: torch.from_numpy refuses the negative strides of a flipped view.
    batch = np.empty((len(plan.indices), crop_px, crop_px, patches.shape[3]), patches.dtype)
    samples = zip(plan.indices, plan.tops, plan.lefts, plan.flip_horizontal, plan.flip_vertical, strict=True)
    for out, (index, top, left, horizontal, vertical) in zip(batch, samples, strict=True):
        crop = patches[index, top : top + crop_px, left : left + crop_px]
        crop = crop[:, ::-1] if horizontal else crop
        out[...] = crop[::-1] if vertical else crop
    return batch
