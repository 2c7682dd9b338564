"""Forward passes under given conditions, and stopwatches for them."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from enhance.conditions import Conditions
from enhance.config.nets import NetConfig
from enhance.cost.timing import Stopwatch
from enhance.nets import Network, apply, build_net

SEED = 0  # of weights and image; any will do, since times do not depend on the values

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@contextlib.contextmanager
def settings(conditions: Conditions) -> Iterator[None]:
    """Set torch up for the conditions, and restore its settings on exit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(conditions.threads)
    if conditions.compiled:  # dynamo caches a few networks per function, then silently runs further ones uncompiled
        torch._dynamo.reset()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(conditions.device, dtype=torch.bfloat16, enabled=conditions.dtype == "bf16"),
            # benchmark: let cuDNN time its algorithms. No TF32, or fp32 latencies would be those of another precision.
            torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_num_threads(threads)


def build_for(net: NetConfig, conditions: Conditions) -> Network:
    """The network on its device, in evaluation mode and in the memory format asked for; its first pass compiles it."""
    network = build_net(net, SEED).eval().to(conditions.device)
    network.to(memory_format=_FORMATS[conditions.memory_format])
    if conditions.compiled:
        network.compile(dynamic=False)
    return network


def image(conditions: Conditions) -> Tensor:
    """Uniform noise in [0, 1], (1, 3, H, W), on the device and in the memory format asked for."""
    shape = (1, 3, conditions.height_px, conditions.width_px)
    # Drawn on the CPU, so that every device is given the same picture.
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(SEED))
    return noise.to(device=conditions.device, memory_format=_FORMATS[conditions.memory_format])


def stopwatch(network: Network, picture: Tensor) -> Stopwatch:
    """A function that times forward passes: by the system clock on the CPU, by device events on CUDA."""

    def on_cpu(repeats: int) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            apply(network, picture)
        return time.perf_counter() - started

    def on_cuda(repeats: int) -> float:
        # Launches are asynchronous: the host's clock would time the queueing, events time the work.
        event: Any = torch.cuda.Event
        first, last = event(enable_timing=True), event(enable_timing=True)
        torch.cuda.synchronize()
        first.record()
        for _ in range(repeats):
            apply(network, picture)
        last.record()
        torch.cuda.synchronize()
        # elapsed_time is in ms.
        return float(first.elapsed_time(last)) / 1000

    return on_cuda if picture.is_cuda else on_cpu
