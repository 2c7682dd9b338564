"""The image pool: showing a critic earlier outputs too, so that it does not forget them (Shrivastava et al. 2017)."""

from typing import Any

import torch
from torch import Tensor

from enhance.data.batches import Stream, generator_at


class Pool:
    """Keeps up to `size` pictures. What it does with a batch depends only on (seed, batch) and on what it holds."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self.pictures: list[Tensor] = []

    def exchange(self, made: Tensor, batch: int) -> Tensor:
        """The pictures to show the critic for the outputs `made`, (N, 3, H, W), which enter the pool.

        Until the pool is full, each output is both kept and shown. After that, with probability 1/2, an earlier picture
        is shown instead and replaced in the pool by the new one (CycleGAN's code).
        """
        if not self.size:
            return made
        # All draws are made up front: their number does not depend on how full the pool is.
        random = generator_at(self.seed, batch, stream=Stream.POOL)
        swapped, places = random.random(len(made)) < 0.5, random.integers(self.size, size=len(made))
        return torch.stack([self._one(*sample) for sample in zip(made, swapped, places, strict=True)])

    def _one(self, picture: Tensor, swapped: bool, place: int) -> Tensor:
        if len(self.pictures) < self.size:
            self.pictures.append(picture)
            return picture
        if not swapped:
            return picture
        earlier, self.pictures[place] = self.pictures[place], picture
        return earlier.to(picture.device)  # after a resume, pictures may still be on the CPU

    def state_dict(self) -> dict[str, Any]:
        """The pictures in the pool."""
        return {"pictures": list(self.pictures)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.pictures = list(state["pictures"])
