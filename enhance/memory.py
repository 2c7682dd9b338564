"""Memory: how much a call takes, and which errors mean that it ran out."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch

DEVICE_IS_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
HOST_IS_FULL = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
"""Messages of the plain RuntimeErrors that torch raises when memory runs out; only some cases have their own class."""

DEVICE, HOST = "out of memory on the device: ", "out of memory on this machine: "
"""How a failure message starts if memory ran out."""

MEMINFO, STATUS = Path("/proc/meminfo"), Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): sets VmHWM to the present VmRSS


def lack_of_memory(error: BaseException) -> str:
    """How a failure message starts if memory ran out: "out of memory on the device: " or "... on this machine: ".

    Empty for any other error.
    """
    message = str(error) if isinstance(error, RuntimeError) else ""
    if isinstance(error, torch.OutOfMemoryError) or any(phrase in message for phrase in DEVICE_IS_FULL):
        return DEVICE
    if isinstance(error, MemoryError) or any(phrase in message for phrase in HOST_IS_FULL):
        return HOST
    return ""


def release(device: str) -> None:
    """Return what nobody refers to any more to the system, so that other processes can have it."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def available_bytes(device: str) -> int | None:
    """How many bytes of memory are free, on "cuda" or this machine; None if the system does not tell."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def peak_bytes(work: Callable[[], object], device: str) -> int | None:
    """How many bytes of memory `work` takes at its peak, on top of what was in use before.

    On "cuda": what torch's allocator handed out. On the "cpu", Linux only: the growth of the resident memory (VmHWM
    minus VmRSS, proc(5)), which is how PIRM 2018 measured it. None if the system does not tell.
    """
    return _peak_on_cuda(work) if device == "cuda" else _peak_on_cpu(work)


def _peak_on_cuda(work: Callable[[], object]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _peak_on_cpu(work: Callable[[], object]) -> int | None:
    # Freed memory that the C library keeps would be reused by `work` and hide what it takes: return it first.
    gc.collect()
    _trim_heap()
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
        before = _status_bytes("VmRSS")
    except OSError:  # not Linux, or a sandbox that forbids the write
        return None
    work()
    # Linux counts resident pages only approximately (proc(5)): a call that takes next to none may come out below 0.
    return max(0, _status_bytes("VmHWM") - before)


def _trim_heap() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc only; other C libraries keep little
        trim(0)


def _status_bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
