"""What a network costs: parameters, multiply-accumulates, peak memory, and latency relative to a baseline.

An absolute latency means little: it depends on the machine, on its load and on the time of day. Each network is
therefore timed in alternation with `BASELINE`, and the ratio of the two is what can be compared. Measure on an idle
machine, never next to training; competing load is detected and reported.
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
from enhance.config.domain import join_names
from enhance.config.nets import NetConfig
from enhance.cost.contention import Snapshot, signs_of_contention, snapshot
from enhance.cost.macs import macs
from enhance.cost.passes import SEED, build_for, image, settings, stopwatch
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
    """Measure what a network costs. It gets random weights unless its configuration names others.

    If the network does not accept the image's size, `apply` pads the image and crops the output, and that is timed too.
    Each pass takes one image, in evaluation mode and without gradients. On CUDA, TF32 is off for convolutions and cuDNN
    picks its fastest algorithms before anything counts. Torch's settings are restored afterwards.

    `on_beat` is called after every timing. If the network cannot be built or compiled, does not fit the conditions or
    runs out of memory, the result has a `failure` and whatever was measured before it; any other error propagates. (A
    process that the operating system kills for its memory cannot report anything.)
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
        found["failure"] = _failure(error)
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
    """Whether an earlier measurement is valid here: made on this device, with this version of torch."""
    return cost.device_name == _device_name(cost.conditions.device) and cost.torch == str(torch.__version__)


def refuse(net: NetConfig, conditions: Conditions) -> None:
    """Raise ConfigError listing everything that keeps the network from being measured on this machine."""
    problems = []
    if conditions.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda: torch sees no NVIDIA GPU on this machine; choose cpu")
    if conditions.dtype not in net.dtypes:
        choices = join_names(net.dtypes)
        problems.append(f"dtype={conditions.dtype} is not tested with net.family={net.family}; choose from {choices}")
    # The affinity respects taskset and cpusets, which cpu_count ignores; not every system has it.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # More threads than cores would time-slice with themselves, and what is timed would be the scheduler.
    if conditions.threads > cores:
        problems.append(f"threads={conditions.threads} must be at most {cores}, the cores this process may use")
    if problems:
        raise ConfigError(problems)


def _find(found: dict[str, Any], net: NetConfig, conditions: Conditions, on_beat: Callable[[], None]) -> None:
    """Put each finding into `found` as soon as it is known, so that a failure keeps what came before it."""
    found["parameters"] = parameter_count(build_net(net, SEED))
    found["macs"] = macs(net, conditions.width_px, conditions.height_px)
    on_beat()
    with settings(conditions):
        picture = image(conditions)
        candidate = stopwatch(build_for(net, conditions), picture)
        candidate(1)  # the first pass compiles and picks kernels, which takes memory that the network does not
        on_beat()
        found["peak_memory_bytes"] = peak_bytes(lambda: candidate(1), conditions.device)
        on_beat()
        baseline = stopwatch(build_for(BASELINE, conditions), picture)
        # Contention is watched only after warm-up: the workers that compile a network would look like other load.
        started: list[Snapshot] = []
        times = take_turns(
            candidate, baseline, conditions, time.perf_counter, on_beat, lambda: started.append(snapshot())
        )
        sentences = signs_of_contention(started[0], snapshot(), conditions.threads, times.baseline_s)
    found |= _statistics(times)
    found |= {"contended": bool(sentences), "contention": "; ".join(sentences)}


def _statistics(times: Times) -> dict[str, float | int]:
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


def _failure(error: BaseException) -> str:
    """The message for an error that the network's size or torch.compile explains; empty for any other."""
    # On one line: it becomes a column of the ledger and a line of a table.
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, TorchDynamoException):
        return f"cannot be compiled: {said}"
    lack = lack_of_memory(error)
    return lack + said if lack else ""


def _device_name(device: str) -> str:
    """The device's own name."""
    if device == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return next(iter(cpu_field("model name")), platform.machine())


# --- how long a measurement will take --------------------------------------------------------------------------------

# An eighth of each side is a 64th of the work: 160x90 instead of 1280x720.
SHRINK = 8
CANDIDATE_PASSES, BASELINE_PASSES = 3, 1
"""Uncounted passes of a slow network: one before the memory measurement, one for it, one to warm up."""


def expected_s(net: NetConfig, conditions: Conditions) -> float:
    """Estimate the seconds that the minimum number of rounds takes, without compilation.

    Extrapolates from one pass at an eighth of the size, by the ratio of MACs, in under a hundredth of the time. Raises
    WeightsUnavailable. Call `refuse` first.
    """
    width_px, height_px = (max(1, px // SHRINK) for px in (conditions.width_px, conditions.height_px))
    # Not compiled: compiling can take longer than everything that is estimated here.
    small = dataclasses.replace(conditions, width_px=width_px, height_px=height_px, compiled=False)
    total_s = 0.0
    for network, uncounted in ((net, CANDIDATE_PASSES), (BASELINE, BASELINE_PASSES)):
        with settings(small):
            timed = stopwatch(build_for(network, small), image(small))
            timed(1)  # warm-up: the first pass allocates and picks kernels
            pass_s = timed(1)
        scale = macs(network, conditions.width_px, conditions.height_px) / macs(network, width_px, height_px)
        total_s += pass_s * scale * (conditions.min_rounds + uncounted)
    return total_s
