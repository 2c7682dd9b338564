"""Forward passes under the conditions of a measurement, and how they are timed."""

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

SEED = 0  # of weights and image: a time does not depend on them, and they must come from somewhere

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@contextlib.contextmanager
def settings(conditions: Conditions) -> Iterator[None]:
    """Torch as the conditions want it, and afterwards as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(conditions.threads)
    if conditions.compiled:  # it keeps a few compiled networks, then runs others uncompiled without a word
        torch._dynamo.reset()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(conditions.device, dtype=torch.bfloat16, enabled=conditions.dtype == "bf16"),
            torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_num_threads(threads)


def prepared(net: NetConfig, conditions: Conditions) -> Network:
    """The network on its device, in evaluation mode, laid out and (at its first pass) compiled as asked."""
    network = build_net(net, SEED).eval().to(conditions.device)
    network.to(memory_format=_FORMATS[conditions.memory_format])
    if conditions.compiled:
        network.compile(dynamic=False)
    return network


def image(conditions: Conditions) -> Tensor:
    """Noise in [0, 1]: (1, 3, H, W), on the device and laid out as asked."""
    shape = (1, 3, conditions.height_px, conditions.width_px)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(SEED))
    return noise.to(device=conditions.device, memory_format=_FORMATS[conditions.memory_format])


def stopwatch(network: Network, picture: Tensor) -> Stopwatch:
    """Times forward passes: on the CPU by the system's clock, on CUDA by events of the device."""

    def on_cpu(repeats: int) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            apply(network, picture)
        return time.perf_counter() - started

    def on_cuda(repeats: int) -> float:
        event: Any = torch.cuda.Event
        first, last = event(enable_timing=True), event(enable_timing=True)
        torch.cuda.synchronize()
        first.record()
        for _ in range(repeats):
            apply(network, picture)
        last.record()
        torch.cuda.synchronize()
        return float(first.elapsed_time(last)) / 1000

    return on_cuda if picture.is_cuda else on_cpu
