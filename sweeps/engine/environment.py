"""The environment of a run, as recorded in its ledger: code hash, versions, host, device."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import enhance
from enhance.system.processor import cpu_field
from enhance.system.source_digest import source_digest

THREADS = 1
"""Torch threads per worker. With one, sums are computed in the same order on every machine."""

ENHANCE = Path(enhance.__file__).parent


@functools.cache
def code_hash() -> str:
    """A hash (16 hex digits) of the Python code of `enhance/`, which decides a trial's numbers.

    Docstrings and comments do not count (`source_digest`). Cached, because parsing takes a few tenths of a second.
    """
    return source_digest(ENHANCE, ENHANCE.rglob("*.py"))[:16]


def file_hash() -> str:
    """A hash of the files of `enhance/`, byte by byte: another one after any edit, and two milliseconds' work.

    Where it is equal the code is, without parsing anything.
    """
    digest = hashlib.sha256()
    for path in sorted(ENHANCE.rglob("*.py")):
        content = path.read_bytes()
        # The length separates the end of one file from the start of the next.
        digest.update(f"{path.relative_to(ENHANCE).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Versions that may affect a trial's numbers, read without importing the packages."""
    return {name: importlib.metadata.version(name) for name in ("teststrip", "torch")} | {
        "python": platform.python_version()
    }


@functools.cache
def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; if not, autocast is slower than fp32."""
    # Empty outside Linux, where fp32 is the safe choice.
    flags = next(iter(cpu_field("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def default_device() -> str:
    """ "cuda" if the system shows an NVIDIA GPU, else "cpu"; does not import torch."""
    # A digit, since /dev/nvidiactl and its like belong to the driver, not to a GPU.
    return "cuda" if any(Path("/dev").glob("nvidia[0-9]*")) else "cpu"


def gpu_count(environment: Mapping[str, str] = os.environ) -> int:
    """How many NVIDIA GPUs this process may use; does not import torch."""
    there = len(list(Path("/dev").glob("nvidia[0-9]*")))
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return there
    # Numbers or names; CUDA ignores what comes after the first one that it does not know, and -1 is none.
    return min(there, len([name for name in chosen.split(",") if name.strip() not in ("", "-1")]))


def python_command() -> str:
    """The interpreter as the user would type it here: `.venv/bin/python`, or the full path from elsewhere."""
    return shlex.quote(as_typed(Path(sys.executable)))


def analysis_command() -> str:
    """The analysis command as the user would type it: `teststrip` if installed here, else `python -m analysis`."""
    script = Path(sys.executable).with_name("teststrip")
    if not script.is_file():
        return f"{python_command()} -m analysis"
    # PATH may find another environment's first.
    found = shutil.which("teststrip")
    return "teststrip" if found and Path(found).samefile(script) else shlex.quote(as_typed(script))


def as_typed(path: Path) -> str:
    """`path` as typed in the current folder: relative if it is inside, otherwise in full."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
