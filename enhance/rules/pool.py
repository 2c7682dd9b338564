"""The image pool: showing a critic earlier outputs too, so that it does not forget them (Shrivastava et al. 2017)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enhance.data.batches import Stream, generator_at
from enhance.training.staging import Staged


class Pool:
    """Keeps up to `size` pictures. What it does with a batch depends only on (seed, batch) and on how many it holds.

    Until the pool is full, each output is both kept and shown. After that, with probability 1/2, an earlier picture is
    shown instead and replaced in the pool by the new one (CycleGAN's code).
    """

    def __init__(
        self,
        size: int,
        seed: int,
        staged: Staged,
        name: str = "pool",
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        self.size, self.seed, self.staged, self.name, self.memory_format = size, seed, staged, name, memory_format
        self.held = 0
        self._pictures: Tensor | None = None

    def stage(self, slot: str, batch: int, count: int) -> None:
        """Decide what happens to the `count` outputs of a batch."""
        if not self.size:
            return
        # All draws are made up front: their number does not depend on how full the pool is.
        random = generator_at(self.seed, batch, stream=Stream.POOL)
        swapped, places = random.random(count) < 0.5, random.integers(self.size, size=count)
        entering = np.arange(self.held, self.held + count) < self.size
        places[entering] = np.arange(self.held, self.held + count)[entering]
        self.held = min(self.size, self.held + count)
        self.staged.put(f"{slot} {self.name} places", places)
        self.staged.put(f"{slot} {self.name} shows earlier", swapped & ~entering)
        self.staged.put(f"{slot} {self.name} keeps", swapped | entering)

    def exchange(self, slot: str, made: Tensor) -> Tensor:
        """The pictures to show the critic for the outputs `made`, (N, 3, H, W), which enter the pool as was staged."""
        if not self.size:
            return made
        if self._pictures is None:
            self._pictures = made.new_zeros((self.size, *made.shape[1:])).to(memory_format=self.memory_format)
        places, earlier, keeps = (
            self.staged[f"{slot} {self.name} {part}"] for part in ("places", "shows earlier", "keeps")
        )
        # One after the other: a picture that enters may be shown by the next sample of the same batch.
        shown = [self._one(made[i : i + 1], places[i : i + 1], earlier[i], keeps[i]) for i in range(len(made))]
        return torch.cat(shown)

    def _one(self, picture: Tensor, place: Tensor, shows_earlier: Tensor, keeps: Tensor) -> Tensor:
        assert self._pictures is not None
        held = self._pictures.index_select(0, place)
        self._pictures.index_copy_(0, place, torch.where(keeps, picture, held))
        return torch.where(shows_earlier, held, picture)

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The pictures, made as zeros where only `like` has them."""
        if self._pictures is None and "pictures" in like:
            self._pictures = torch.zeros_like(like["pictures"])
        return {} if self._pictures is None else {"pictures": self._pictures}

    def state_dict(self) -> dict[str, Any]:
        """The pictures in the pool, and how many they are."""
        return {"held": self.held, "pictures": self._pictures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.held, pictures = state["held"], state["pictures"]
        self._pictures = None if pictures is None else pictures.to(self.staged.device)
