"""Running means of step statistics, kept on the device: only reading them waits for it."""

from typing import Any

import torch
from torch import Tensor


class Means:
    """Sums of named statistics of shape (). The set of names may change from step to step."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._clear()

    def _clear(self) -> None:
        # One sum and one count per set of names that occurred together: each step costs a single addition.
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, stats: dict[str, Tensor]) -> None:
        """Add the statistics of one step."""
        names = tuple(stats)
        # Float64: in float32 a long sum would lose small values.
        values = torch.stack([value.double() for value in stats.values()])
        self._sums[names] = self._sums[names] + values if names in self._sums else values
        self._counts[names] = self._counts.get(names, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the mean of each statistic over the steps that had it since the last call, and start over."""
        totals: dict[str, float] = {}
        steps: dict[str, int] = {}
        for names, sums in self._sums.items():
            for name, value in zip(names, sums.tolist(), strict=True):
                totals[name] = totals.get(name, 0.0) + value
                steps[name] = steps.get(name, 0) + self._counts[names]
        self._clear()
        return {name: total / steps[name] for name, total in totals.items()}

    def state_dict(self) -> dict[str, Any]:
        """Names, sums and counts."""
        return {"sums": [[list(names), sums.clone(), self._counts[names]] for names, sums in self._sums.items()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self._clear()
        for names, sums, count in state["sums"]:
            self._sums[tuple(names)], self._counts[tuple(names)] = sums.to(self._device).clone(), count
