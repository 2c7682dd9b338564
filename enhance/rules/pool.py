"""The image pool: a critic is shown earlier outputs too, so that it does not forget (Shrivastava et al. 2017)."""

from typing import Any

import torch
from torch import Tensor

from enhance.data.batches import Stream, generator_at


class Pool:
    """Keeps up to `size` pictures. What it does with a batch is a function of (seed, batch) and of what it holds."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self.pictures: list[Tensor] = []

    def exchange(self, made: Tensor, batch: int) -> Tensor:
        """The pictures to show for `made` (N, 3, H, W), which are taken in.

        While there is room each is kept and shown; then, half of the time, an earlier one is shown in its place and
        replaced by it (CycleGAN's code).
        """
        if not self.size:
            return made
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
        return earlier.to(picture.device)  # a resumed pool begins on the CPU

    def state_dict(self) -> dict[str, Any]:
        """The pictures it holds."""
        return {"pictures": list(self.pictures)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self.pictures = list(state["pictures"])
