"""What the host decides for a step, in tensors that the device reads: indices, coins, random shares.

A step has two halves. `stage` runs on the host and depends on (seed, step) only; `compute` runs on the device and makes
no decision in Python. Between them lie these tensors. Each is made once and overwritten in place, so that a recorded
sequence of device operations, such as a CUDA graph, finds the next step's values where it found the last one's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class Staged:
    """Tensors on `device` by name. Each keeps the shape and type of the first values that were put into it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._tensors: dict[str, Tensor] = {}
        self._transfers: dict[str, _Transfer] = {}

    def put(self, name: str, values: npt.NDArray[Any]) -> None:
        """Overwrite the tensor `name` with `values`. On a GPU this returns before they have arrived there.

        Raises RuntimeError if the shape is not the first one's.
        """
        host = torch.from_numpy(np.asarray(values, order="C"))
        if name not in self._tensors:
            self._tensors[name] = torch.empty(host.shape, dtype=host.dtype, device=self.device)
            if self.device.type == "cuda":
                self._transfers[name] = _Transfer(host)
        # Without this, copy_ would broadcast a single sample over a batch.
        if host.shape != self._tensors[name].shape:
            was = tuple(self._tensors[name].shape)
            raise RuntimeError(f"{name} has shape {tuple(host.shape)}, and had {was} at the first step")
        if name in self._transfers:
            self._transfers[name].send(host, self._tensors[name])
        else:
            self._tensors[name].copy_(host)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def tensors(self) -> dict[str, Tensor]:
        """All of them, by name."""
        return dict(self._tensors)


def recordable(device: torch.device) -> bool:
    """Whether steps on this device are recorded and replayed, which a CPU has no use for."""
    return device.type != "cpu"


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of `tensors` whose names begin with `prefix` and a space, named by the rest."""
    start = f"{prefix} "
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with `prefix` and a space before their names."""
    return {f"{prefix} {name}": tensor for name, tensor in tensors.items()}


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a module, by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


class _Transfer:
    """Two pinned copies of one tensor, used in turn: the host fills one while the device still reads the other."""

    def __init__(self, like: Tensor) -> None:
        self._pinned = [torch.empty_like(like, pin_memory=True) for _ in range(2)]
        self._arrived = [torch.cuda.Event() for _ in range(2)]  # type: ignore[no-untyped-call]
        self._turn = 0

    def send(self, host: Tensor, device: Tensor) -> None:
        self._turn = 1 - self._turn
        # Waits only if the device is two steps behind the host.
        self._arrived[self._turn].synchronize()
        self._pinned[self._turn].copy_(host)
        device.copy_(self._pinned[self._turn], non_blocking=True)
        self._arrived[self._turn].record()
