"""A trial's batches on its device: pure functions of (seed, step), whatever ran before in the same process."""

import numpy as np
import torch
from torch import Tensor

from enhance.config import Config, ConfigError
from enhance.data import PatchStore
from enhance.data.batches import BatchPlan, Pictures, Stream, batch_plan, gather, generator_at
from enhance.data.storage.store import Pixels
from enhance.training.augment import augment


class Feed:
    """Crops of the store's pictures: (B, 3, crop_px, crop_px) float32 in [0, 1], in channels-last memory format.

    Raises ConfigError if the pictures are smaller than the configured crop.
    """

    def __init__(self, data: PatchStore, config: Config, seed: int, device: torch.device) -> None:
        size_px, crop_px = data.train_input.shape[1], config.train.crop_px
        if crop_px > size_px:
            raise ConfigError([f"train.crop_px={crop_px} is larger than the pictures of {data.spec} ({size_px} px)"])
        self.data, self.config, self.seed, self.device = data, config, seed, device

    def pairs(self, step: int, stream: Stream) -> tuple[Tensor, Tensor]:
        """The inputs and targets of one step, with identical crops, flips and color changes."""
        plan = self._plan(step, stream, len(self.data.train_input))
        source = self._pictures(self.data.train_input, plan)
        target = self._pictures(self.data.train_target, plan)
        return augment(source, target, self.config.augment, self.seed, step)

    def sides(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of one step that do not belong together, for rules that train without pairs.

        From a store of pairs, inputs come from one half and targets from the other, so that an input's true target is
        never shown. Raises ValueError if such a store has only one pair.
        """
        source, target = self.data.train_input, self.data.train_target
        if self.data.paired:
            source, target = source[0::2], target[1::2]
        if not len(target):
            raise ValueError("training without pairs needs at least 2 training pairs, to take the two sides from")
        inputs = self._pictures(source, self._plan(step, Stream.GENERATOR, len(source)))
        targets = self._pictures(target, self._plan(step, Stream.OTHER_SIDE, len(target)))
        return self._alone(inputs, step), self._alone(targets, step)

    def _alone(self, pictures: Tensor, step: int) -> Tensor:
        """Augment pictures without partners."""
        return augment(pictures, pictures, self.config.augment, self.seed, step)[0]

    def coins(self, step: int) -> Tensor:
        """A random bool for each sample of a batch: (B,)."""
        coins = generator_at(self.seed, step, stream=Stream.COIN).integers(0, 2, self.config.train.batch_size, bool)
        return torch.from_numpy(coins).to(self.device)

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

    def _pictures(self, side: Pictures, plan: BatchPlan) -> Tensor:
        return to_images(gather(side, plan), self.device)


def to_images(pictures: Pictures, device: torch.device | str = "cpu") -> Tensor:
    """(N, H, W, 3) uint8 or uint16 to (N, 3, H, W) float32 in [0, 1], in channels-last memory format."""
    top = np.iinfo(pictures.dtype).max
    if pictures.dtype != np.uint8:  # torch supports few operations on wider unsigned integers
        pictures = pictures.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float().div_(top)


def to_pixels(images: Tensor) -> Pixels:
    """(N, 3, H, W) float images to (N, H, W, 3) uint8, clipped to [0, 1] and rounded."""
    pixels: Pixels = images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def torch_generator(seed: int, step: int, stream: Stream, device: torch.device) -> torch.Generator:
    """A generator on `device`, independent for every (stream, seed, step)."""
    return torch.Generator(device).manual_seed(noise_seed(seed, step, stream))


def noise_seed(seed: int, step: int, stream: Stream) -> int:
    """An independent whole number in [0, 2^62) for every (stream, seed, step)."""
    return int(generator_at(seed, step, stream=stream).integers(2**62))
