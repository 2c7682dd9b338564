"""The environment of a run, as its ledger records it: code hash, versions, host, device."""

import functools
import importlib.metadata
import platform
import shutil
import socket
import sys
from pathlib import Path

import enhance
from enhance.system.processor import cpu_field
from enhance.system.source_digest import source_digest

THREADS = 1
"""Torch threads per worker: with one, sums have the same order on every machine."""

ENHANCE = Path(enhance.__file__).parent


@functools.cache
def code_hash() -> str:
    """16 hexadecimal digits over what the Python files of `enhance/` do: what decides a trial's numbers.

    Docstrings and comments do not count: see `source_digest`. Parsing takes a few tenths of a second, hence the cache.
    """
    return source_digest(ENHANCE, ENHANCE.rglob("*.py"))[:16]


@functools.cache
def versions() -> dict[str, str]:
    """Versions that a trial's numbers may depend on, read without importing the packages."""
    return {name: importlib.metadata.version(name) for name in ("teststrip", "torch")} | {
        "python": platform.python_version()
    }


@functools.cache
def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; without, autocast is slower than fp32."""
    flags = next(iter(cpu_field("flags")), "").split()  # empty outside Linux: fp32 is always right
    return "avx512_bf16" in flags or "amx_bf16" in flags


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def default_device() -> str:
    """ "cuda" if the system shows an NVIDIA GPU, else "cpu"; does not import torch."""
    return "cuda" if any(Path("/dev").glob("nvidia[0-9]*")) else "cpu"


def python_command() -> str:
    """The interpreter as the user would type it from here: `.venv/bin/python`, or its whole path from elsewhere."""
    return as_typed(Path(sys.executable))


def analysis_command() -> str:
    """What reads a run, as the user would type it: `teststrip` if it is installed here, else `python -m analysis`."""
    script = Path(sys.executable).with_name("teststrip")
    if not script.is_file():
        return f"{python_command()} -m analysis"
    found = shutil.which("teststrip")  # another environment's may come first
    return "teststrip" if found and Path(found).samefile(script) else as_typed(script)


def as_typed(path: Path) -> str:
    """`path` as one types it from the current folder: relative where it lies inside, else whole."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
