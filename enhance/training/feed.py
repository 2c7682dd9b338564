"""A trial's batches on its device: pure functions of (seed, step), whatever ran before in the same process."""

import numpy as np
import torch
from torch import Tensor

from enhance.config import Config, ConfigError
from enhance.data import PatchStore
from enhance.data.batches import BatchPlan, Pictures, Stream, batch_plan, generator_at
from enhance.data.storage.store import Pixels
from enhance.training.augment import augment, color_factors, gray_shares
from enhance.training.pictures import Crops, as_images, train_crops
from enhance.training.staging import Staged

EVERY = slice(None)


class Feed:
    """Crops of the store's pictures: (B, 3, crop_px, crop_px) float32 in [0, 1], in `train.memory_format`.

    A step may need several batches. Each has a slot, a name under which `stage_...` prepares it on the host and the
    method of the same name gives it to the device. Raises ConfigError if the pictures are smaller than the configured
    crop.
    """

    def __init__(self, data: PatchStore, config: Config, seed: int, staged: Staged) -> None:
        size_px, crop_px = data.train_input.shape[1], config.train.crop_px
        if crop_px > size_px:
            raise ConfigError([f"train.crop_px={crop_px} is larger than the pictures of {data.spec} ({size_px} px)"])
        self.data, self.config, self.seed, self.staged = data, config, seed, staged
        self._gray = gray_shares(staged.device)
        self._crops: dict[tuple[str, int], Crops] = {}

    def stage_pairs(self, slot: str, step: int, stream: Stream) -> None:
        """Prepare the pairs of a step."""
        plan = self._plan(step, stream, len(self.data.train_input))
        for side in ("input", "target"):
            self._of(side, EVERY).stage(slot, plan)
        self._stage_colors(slot, step)

    def pairs(self, slot: str) -> tuple[Tensor, Tensor]:
        """Inputs and targets, with identical crops, flips and color changes."""
        source, target = (self._of(side, EVERY).read(slot) for side in ("input", "target"))
        return self._augment(slot, source, target)

    def stage_sides(self, slot: str, step: int) -> None:
        """Prepare inputs and targets of a step that do not belong together, for rules that train without pairs.

        From a store of pairs, inputs come from one half and targets from the other, so that an input's true target is
        never shown. Raises ValueError if such a store has only one pair.
        """
        inputs, targets = self._halves()
        source_count, target_count = len(self.data.train_input[inputs]), len(self.data.train_target[targets])
        if not target_count:
            raise ValueError("training without pairs needs at least 2 training pairs, to take the two sides from")
        self._of("input", inputs).stage(slot, self._plan(step, Stream.GENERATOR, source_count))
        self._of("target", targets).stage(slot, self._plan(step, Stream.OTHER_SIDE, target_count))
        self._stage_colors(slot, step)

    def sides(self, slot: str) -> tuple[Tensor, Tensor]:
        """Inputs and targets that do not belong together."""
        inputs, targets = self._halves()
        source, target = self._of("input", inputs).read(slot), self._of("target", targets).read(slot)
        # Each side is augmented alone: the contrast of a picture has nothing to do with that of a stranger.
        return self._augment(slot, source, source)[0], self._augment(slot, target, target)[0]

    def stage_coins(self, slot: str, step: int) -> None:
        """Toss a coin for each sample of a batch."""
        coins = generator_at(self.seed, step, stream=Stream.COIN).integers(0, 2, self.config.train.batch_size, bool)
        self.staged.put(f"{slot} coins", coins)

    def coins(self, slot: str) -> Tensor:
        """A random bool for each sample: (B,)."""
        return self.staged[f"{slot} coins"]

    def _of(self, side: str, part: slice) -> Crops:
        key = (side, part.start or 0)
        if key not in self._crops:
            self._crops[key] = train_crops(self.data, side, part, self.staged)
        return self._crops[key]

    def _halves(self) -> tuple[slice, slice]:
        return (slice(0, None, 2), slice(1, None, 2)) if self.data.paired else (EVERY, EVERY)

    def _stage_colors(self, slot: str, step: int) -> None:
        factors = color_factors(self.config.augment, self.seed, step, self.config.train.batch_size)
        if factors is not None:
            self.staged.put(f"{slot} colors", factors)

    def _augment(self, slot: str, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        augments = self.config.augment
        if any((augments.brightness, augments.contrast, augments.saturation)):
            source, target = augment(source, target, augments, self.staged[f"{slot} colors"], self._gray)
        # They come in channels-last memory, which is how pictures are stored.
        if self.config.train.memory_format == "contiguous":
            source, target = source.contiguous(), target.contiguous()
        return source, target

    def _plan(self, step: int, stream: Stream, count: int) -> BatchPlan:
        train = self.config.train
        return batch_plan(
            self.seed,
            step,
            count=count,
            size_px=self.data.train_input.shape[1],
            batch_size=train.batch_size,
            crop_px=train.crop_px,
            flips=self.config.augment.flips,
            stream=stream,
        )


def to_images(pictures: Pictures, device: torch.device | str = "cpu") -> Tensor:
    """(N, H, W, 3) uint8 or uint16 to (N, 3, H, W) float32 in [0, 1], in channels-last memory format."""
    return as_images(torch.from_numpy(np.ascontiguousarray(pictures)).to(device))


def to_pixels(images: Tensor) -> Pixels:
    """(N, 3, H, W) float images to (N, H, W, 3) uint8, clipped to [0, 1] and rounded."""
    pixels: Pixels = images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def noise_seed(seed: int, step: int, stream: Stream) -> int:
    """An independent whole number in [0, 2^62) for every (stream, seed, step)."""
    return int(generator_at(seed, step, stream=stream).integers(2**62))
