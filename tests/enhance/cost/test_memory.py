"""Peak memory, and the failure that running out of it is reported as."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from enhance import memory
from tests.patience import PATIENCE_S

on_linux = pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="needs Linux's /proc/self/clear_refs")


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("kept", [False, True])
def test_the_peak_is_what_was_held_at_once(kept: bool) -> None:
    """64 and 32 MB at once, then 32 alone; a peak of another call before must not count.

    In a process of its own: what other tests have left in this one's memory could be what `work` is given.
    """
    code = textwrap.dedent(f"""
        import torch
        from enhance import memory
        held = []
        memory.peak_bytes(lambda: torch.ones(64 << 20), "cpu")
        def work():
            first = torch.ones(16 << 20)
            second = torch.ones(8 << 20)
            del first
            if {kept}:
                held.append(second)
        print(memory.peak_bytes(work, "cpu"))
    """)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert int(found.stdout) / (96 << 20) == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_an_unknown_peak_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "nowhere" / "clear_refs")
    assert memory.peak_bytes(lambda: None, "cpu") is None


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory on the device: "),
        (RuntimeError("CUDA error: out of memory"), "out of memory on the device: "),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory on the device: "),
        (MemoryError(), "out of memory on this machine: "),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory on this "),
        (RuntimeError("shapes do not match"), ""),
        (ValueError("DefaultCPUAllocator: can't allocate memory"), ""),
    ],
)
def test_a_lack_of_memory_is_recognized(error: Exception, begins: str) -> None:
    assert memory.lack_of_memory(error).startswith(begins)
    assert bool(memory.lack_of_memory(error)) is bool(begins)
