"""What a network costs: parameters, multiply-accumulates, peak memory, and its latency beside the baseline's.

A latency means nothing by itself: it depends on the machine, on what else runs there and on the hour. So each network
is timed in turns with `BASELINE`, and the ratio is what can be compared. It should be measured where nothing else runs,
never beside training; what does run is noticed and said.
"""

import dataclasses
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch._dynamo.exc import TorchDynamoException

from enhance.conditions import BASELINE, Conditions, Cost, condition_domains
from enhance.config import ConfigError
from enhance.config.domain import listed
from enhance.config.nets import NetConfig
from enhance.cost.contention import Snapshot, noticed, snapshot
from enhance.cost.macs import macs
from enhance.cost.passes import SEED, image, prepared, settings, stopwatch
from enhance.cost.timing import Times, ratio_interval, take_turns
from enhance.memory import lack_of_memory, peak_bytes
from enhance.nets import build_net, parameter_count
from enhance.nets.pretrained import WeightsUnavailable
from enhance.system.processor import cpu_field

__all__ = [
    "BASELINE",
    "Conditions",
    "Cost",
    "condition_domains",
    "expected_s",
    "holds_here",
    "macs",
    "measure",
    "refuse",
]


def measure(net: NetConfig, conditions: Conditions, on_beat: Callable[[], None] = lambda: None) -> Cost:
    """The cost of a network. It is built with random weights unless its configuration names others.

    An image whose size does not suit the network is padded and its output cropped, which is timed as well (`apply`).
    Each pass is of one image, in evaluation mode, without gradients. On CUDA convolutions are never TF32, and cuDNN
    chooses the fastest of its algorithms before anything is counted. Torch's settings are put back afterwards.

    `on_beat` is called after every timing. A network that cannot be built or compiled, does not suit the conditions, or
    is too large for the memory has a `failure` and whatever was found before; other errors are raised. (An operating
    system that kills a process for its memory cannot be heard.)
    """
    started = time.perf_counter()
    load = os.getloadavg()[0]
    found: dict[str, Any] = {}
    try:
        refuse(net, conditions)
        _find(found, net, conditions, on_beat)
    except ConfigError as error:
        found["failure"] = "; ".join(error.problems)
    except WeightsUnavailable as error:
        found["failure"] = str(error)
    except (MemoryError, RuntimeError) as error:
        found["failure"] = _expected(error)
        if not found["failure"]:
            raise
    return Cost(
        conditions=conditions,
        spent_s=time.perf_counter() - started,
        load_1min=max(load, os.getloadavg()[0]),
        device_name=_device_name(conditions.device),
        torch=str(torch.__version__),
        **found,
    )


def holds_here(cost: Cost) -> bool:
    """Whether a cost that was measured earlier is that of this device, with this torch."""
    return cost.device_name == _device_name(cost.conditions.device) and cost.torch == str(torch.__version__)


def refuse(net: NetConfig, conditions: Conditions) -> None:
    """Raise ConfigError with everything that keeps the network from being measured here under these conditions."""
    problems = []
    if conditions.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda: torch sees no NVIDIA GPU on this machine; choose cpu")
    if conditions.dtype not in net.dtypes:
        problems.append(
            f"dtype={conditions.dtype} is not tested with net.family={net.family}; choose from {listed(net.dtypes)}"
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if conditions.threads > cores:
        problems.append(f"threads={conditions.threads} must be <= {cores}, the cores that this process may use")
    if problems:
        raise ConfigError(problems)


def _find(found: dict[str, Any], net: NetConfig, conditions: Conditions, on_beat: Callable[[], None]) -> None:
    """Put into `found` what is found out, one thing after the other: a failure leaves what came before it."""
    found["parameters"] = parameter_count(build_net(net, SEED))
    found["macs"] = macs(net, conditions.width_px, conditions.height_px)
    on_beat()
    with settings(conditions):
        picture = image(conditions)
        candidate = stopwatch(prepared(net, conditions), picture)
        candidate(1)  # what only a first pass needs (compiling, choosing kernels) is not the network's memory
        on_beat()
        found["peak_memory_bytes"] = peak_bytes(lambda: candidate(1), conditions.device)
        on_beat()
        baseline = stopwatch(prepared(BASELINE, conditions), picture)
        begun: list[Snapshot] = []
        times = take_turns(
            candidate, baseline, conditions, time.perf_counter, on_beat, lambda: begun.append(snapshot())
        )
        sentences = noticed(begun[0], snapshot(), conditions.threads, times.baseline_s)
    found |= _in_figures(times)
    found |= {"contended": bool(sentences), "contention": "; ".join(sentences)}


def _in_figures(times: Times) -> dict[str, float | int]:
    """The fields of a Cost that follow from the times."""
    interval = ratio_interval(times.candidate_s, times.baseline_s)
    candidate_ms, baseline_ms = ([1000 * s for s in seconds] for seconds in (times.candidate_s, times.baseline_s))
    return {
        "latency_ms": float(np.median(candidate_ms)),
        "latency_p95_ms": float(np.percentile(candidate_ms, 95)),
        "latency_ratio": interval.ratio,
        "latency_ratio_low": interval.low,
        "latency_ratio_high": interval.high,
        "baseline_ms": float(np.median(baseline_ms)),
        "rounds": len(candidate_ms),
        "warmup_rounds": times.warmup_rounds,
    }


def _expected(error: BaseException) -> str:
    """The failure that an error stands for; empty where it is none that a network's size or torch.compile explains."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, TorchDynamoException):
        return f"cannot be compiled: {said}"
    lack = lack_of_memory(error)
    return lack + said if lack else ""


def _device_name(device: str) -> str:
    """What the device calls itself."""
    if device == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return next(iter(cpu_field("model name")), platform.machine())


# --- how long it will take -------------------------------------------------------------------------------------------

SHRINK = 8
CANDIDATE_PASSES, BASELINE_PASSES = 3, 1
"""Forward passes of a slow network that are not counted: before the memory, for it, and in the warm-up."""


def expected_s(net: NetConfig, conditions: Conditions) -> float:
    """Roughly how long the fewest rounds will take, compilation left out: from passes at an eighth of the size.

    Takes under a hundredth of that. Raises WeightsUnavailable; not for a network that `refuse` refuses.
    """
    width_px, height_px = (max(1, px // SHRINK) for px in (conditions.width_px, conditions.height_px))
    small = dataclasses.replace(conditions, width_px=width_px, height_px=height_px, compiled=False)
    total_s = 0.0
    for network, uncounted in ((net, CANDIDATE_PASSES), (BASELINE, BASELINE_PASSES)):
        with settings(small):
            timed = stopwatch(prepared(network, small), image(small))
            timed(1)
            pass_s = timed(1)
        scale = macs(network, conditions.width_px, conditions.height_px) / macs(network, width_px, height_px)
        total_s += pass_s * scale * (conditions.min_rounds + uncounted)
    return total_s
