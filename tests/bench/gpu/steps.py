"""One step of each workload: how long it takes eagerly and recorded, what it does, and how idle the device is."""

import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from enhance.data import open_data
from enhance.microrun import MicroRun
from enhance.rules.step import SWITCH
from tests.bench.gpu.roofline import Peaks, Work, bound, idle_share, roofline_s
from tests.bench.gpu.workloads import Job

SAMPLE_S = 0.05
"""Seconds between two samples of NVML, whose own window is longer."""


class Counter(TorchDispatchMode):
    """Adds up the floating-point operations, by torch's formulas, and the bytes that operations read and write.

    Views are neither. torch's own FlopCounterMode fails under a gradient penalty, since it follows modules as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [own for own in tree.tree_leaves((args, kwargs, result)) if isinstance(own, torch.Tensor)]
            self.bytes += sum(own.numel() * own.element_size() for own in tensors)
        if func._overloadpacket in flop_registry:
            self.flops += int(flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result))
        return result


def measure(job: Job, peaks: Peaks, repeats: int, steps: int) -> dict[str, Any]:
    """A row for the step of one workload; times in ms are means over `steps`, `repeats` of them."""
    work = counted(job)
    row: dict[str, Any] = {
        "workload": job.workload, "scale": job.scale, "flops": work.flops, "bytes": work.bytes,
        "roofline_ms": 1e3 * roofline_s(work, peaks), "bound": bound(work, peaks),
    }  # fmt: skip
    for name, record in (("eager", "0"), ("captured", "1")):
        os.environ[SWITCH] = record
        run = _begun(job)
        with Utilization(job.device) as seen:
            take = functools.partial(run.take_steps, steps)
            row[f"{name}_ms"] = [1e3 * _timed(take, job.device) / steps for _ in range(repeats)]
        row[f"{name}_idle_share"] = idle_share(seen.percents)
        row[f"{name}_how"] = run.captured
    return row


def counted(job: Job) -> Work:
    """What one step does, counted while it runs eagerly."""
    os.environ[SWITCH] = "0"
    run = _begun(job)
    with Counter() as counter:
        run.take_steps(1)
    return Work(counter.flops, counter.bytes)


def peaks_of(device: str, size: int = 8192, copied: int = 1 << 30) -> Peaks:
    """The device's best: a product of two bfloat16 matrices, and a copy of `copied` bytes, five times each."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s = min(_timed(lambda: a @ b, device) for _ in range(5))
    copy_s = min(_timed(lambda: target.copy_(source), device) for _ in range(5))
    return Peaks(2 * size**3 / product_s, 2 * copied / copy_s)


class Utilization:
    """Samples NVML's utilization of the first GPU in a thread, while the context lasts; nothing on a CPU."""

    def __init__(self, device: str) -> None:
        self.percents: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True) if device == "cuda" else None

    def __enter__(self) -> "Utilization":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join()

    def _sample(self) -> None:
        class Rates(ctypes.Structure):
            _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))

        nvml, handle, rates = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_void_p(), Rates()
        nvml.nvmlInit_v2()
        nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle))
        while not self._end.wait(SAMPLE_S):
            # 0 is success.
            if nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(rates)) == 0:
                self.percents.append(float(rates.gpu))
        nvml.nvmlShutdown()


def _begun(job: Job) -> MicroRun:
    values: dict[str, Any] = {"optimizer.lr": 5e-4}
    if job.workload == "mixed":
        values |= {"net.family": "shuffle", "net.channels": 16}
    run = MicroRun(job.sweep().config(values), 0, open_data("demo"), job.device)
    run.take_steps(5)
    return run


def _timed(work: Callable[[], Any], device: str) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started
