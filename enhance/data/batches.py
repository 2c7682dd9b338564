"""Which patches, crops and flips make the batch of a step: a pure function of stream, seed and step.

Philox is counted, not stepped: any step's numbers are had at once, so a resumed trial, a trial in a reused worker and
one lane of many see the same batches.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[Any]  # (N, H, W, 3), uint8 or uint16


class Stream(IntEnum):
    """What random numbers are drawn for; one seed gives independent ones for each."""

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
    """One batch: for each of its B samples a patch, the crop's corner in px, and whether it is mirrored after that."""

    crop_px: int
    indices: npt.NDArray[np.int64]
    tops: npt.NDArray[np.int64]
    lefts: npt.NDArray[np.int64]
    flip_horizontal: npt.NDArray[np.bool_]
    flip_vertical: npt.NDArray[np.bool_]


def generator_at(seed: int, step: int, *, stream: int) -> np.random.Generator:
    """Random numbers of their own for every (stream, seed, step), each a whole number from 0 to 2**64 - 1."""
    for name, value in (("seed", seed), ("step", step), ("stream", stream)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name}={value!r} must be a whole number from 0 to 2**64 - 1")
    # The step takes the counter's highest word: the 2**192 blocks below it are never used up.
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
    """The batch of `step`: `batch_size` of `count` patches with replacement, cropped anywhere, half of them flipped.

    The patches drawn do not depend on `crop_px` and `flips`. Raises ValueError where the crop is larger than the
    patches of `size_px`, or a number is not positive.
    """
    for name, value in (("count", count), ("batch_size", batch_size), ("crop_px", crop_px)):
        if value < 1:
            raise ValueError(f"{name}={value!r} must be at least 1")
    if crop_px > size_px:
        raise ValueError(f"crop_px={crop_px} is larger than the patches of {size_px} px; choose from 1 to {size_px}")
    uniform = generator_at(seed, step, stream=stream).random((5, batch_size))
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
    """The planned crops of (N, H, W, 3) patches, as a new contiguous array (B, crop_px, crop_px, 3).

    An input and its target keep their common geometry when both are gathered by one plan.
    """
    crop_px = plan.crop_px
    batch = np.empty((len(plan.indices), crop_px, crop_px, patches.shape[3]), patches.dtype)
    samples = zip(plan.indices, plan.tops, plan.lefts, plan.flip_horizontal, plan.flip_vertical, strict=True)
    for out, (index, top, left, horizontal, vertical) in zip(batch, samples, strict=True):
        crop = patches[index, top : top + crop_px, left : left + crop_px]
        crop = crop[:, ::-1] if horizontal else crop
        out[...] = crop[::-1] if vertical else crop
    return batch
