"""How much of a device one micro-run takes: its memory, how busy it keeps the device, and its steps per second."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from enhance.config import Config
from enhance.data import PatchStore
from enhance.memory import lack_of_memory, peak_bytes
from enhance.microrun import MicroRun

WARM_STEPS, STEPS = 5, 20
"""Steps that do not count, in which memory is allocated and kernels are chosen, and steps that are timed."""

CONTEXT_BYTES = 600 << 20
"""Roughly what CUDA takes for each process beside torch's tensors: context, code of the kernels."""


@dataclass(frozen=True)
class Largest:
    """The configuration that needs the most memory, and its process's bytes at the peak, of `free_bytes`."""

    config: Config
    bytes: int
    free_bytes: int


def largest(configs: Sequence[Config], data: PatchStore, device: str) -> Largest:
    """Train each of `configs` for a step, evaluate it, and return the one that took the most memory.

    One that does not fit even alone counts as taking all. Raises ValueError if there are none.
    """
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else _memory_of_host()
    if not configs:
        raise ValueError("no configuration to measure")
    # The first micro-run of a process also loads libraries, which is no fault of its configuration.
    _bytes(configs[0], data, device, free)
    found = [Largest(config, _bytes(config, data, device, free), free) for config in configs]
    return max(found, key=lambda own: own.bytes)


class Lane:
    """A micro-run that has begun and is timed beside others. Raises whatever a micro-run raises."""

    def __init__(self, config: Config, data: PatchStore, device: str) -> None:
        self.device = device
        self.run = MicroRun(config, 0, data, device)
        self._take(WARM_STEPS)

    def steps_per_s(self, steps: int = STEPS) -> float:
        """Its steps per second, the device's work included."""
        return steps / self._take(steps)

    def busy(self, steps: int = STEPS) -> float:
        """The share of a step's time in which the device computes, in (0, 1]; 1 on a CPU, which does nothing else."""
        if self.device != "cuda":
            return 1.0
        # The profiler slows the host and not the kernels, so these are compared with steps without it.
        took_s = self._take(steps)
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            self._take(steps)
        computed_s = sum(float(event.self_device_time_total) for event in seen.key_averages()) / 1e6
        return min(1.0, max(0.01, computed_s / took_s))

    def _take(self, steps: int) -> float:
        started = time.perf_counter()
        self.run.take_steps(steps)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def _bytes(config: Config, data: PatchStore, device: str, free: int) -> int:
    try:
        taken = peak_bytes(lambda: MicroRun(config, 0, data, device).advance(1), device)
    except RuntimeError as error:
        if not lack_of_memory(error):
            raise
        return free
    return (taken or 0) + CONTEXT_BYTES


def use_threads(count: int) -> None:
    """Compute with so many threads in this process, as its caller's workers do."""
    torch.set_num_threads(count)


def _memory_of_host() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
