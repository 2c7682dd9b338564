"""Memory: how much of it a call takes, and which errors mean that it ran out."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch

DEVICE_IS_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
HOST_IS_FULL = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
"""What torch says in a RuntimeError, where it has no kind of error of its own for a lack of memory."""

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): sets VmHWM to the present VmRSS


def lack_of_memory(error: BaseException) -> str:
    """What a reason begins with where memory ran out: "out of memory on the device: " or "... on this machine: ".

    Empty for every other error.
    """
    said = str(error) if isinstance(error, RuntimeError) else ""
    if isinstance(error, torch.OutOfMemoryError) or any(phrase in said for phrase in DEVICE_IS_FULL):
        return "out of memory on the device: "
    if isinstance(error, MemoryError) or any(phrase in said for phrase in HOST_IS_FULL):
        return "out of memory on this machine: "
    return ""


def peak_bytes(work: Callable[[], object], device: str) -> int | None:
    """How much more memory than before is held at the peak of `work`, in bytes.

    On "cuda" what torch's allocator gave out. On the "cpu" of Linux the resident memory of the process (VmHWM less
    VmRSS, proc(5)), the way PIRM 2018 measured; memory that was freed before but kept by the C library is given back
    first, or it would hide what `work` takes. None where the system cannot say.
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
    gc.collect()
    _give_back()
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
        before = _status_bytes("VmRSS")
    except OSError:  # not Linux, or a sandbox that keeps it
        return None
    work()
    return max(0, _status_bytes("VmHWM") - before)


def _give_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc; others keep little
        trim(0)


def _status_bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
