"""Nodes on this machine that see another disk, or run other code, than the driver.

One that sees another disk has a namespace of mounts of its own, in which something else lies over a folder; one that
runs other code has it before everything else on its path.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.places import ROOT

HIDES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, REC_PRIVATE = 0x20000, 0x4000 | 1 << 18
if libc.unshare(NEWNS) or libc.mount(b"none", b"/", None, REC_PRIVATE, None):
    raise OSError(ctypes.get_errno(), "no namespace of mounts")
if libc.mount(b"tmpfs", {folder!r}, b"tmpfs", 0, None):
    raise OSError(ctypes.get_errno(), "nothing can be mounted")
"""

OTHER_CODE = """
import importlib.machinery, sys
class First(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return super().find_spec(name, [{folder!r}]) if name == "enhance" else None
sys.meta_path.insert(0, First)
"""


def at_start(folder: Path, code: str) -> dict[str, str]:
    """The variables of a node whose every Python process begins with `code`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


def hiding(folder: Path, hidden: Path) -> dict[str, str]:
    """The variables of a node that has an empty disk where the others have `hidden`."""
    return at_start(folder, HIDES.format(folder=os.fsencode(hidden)))


@functools.cache
def cannot_hide() -> str:
    """Why no folder can be hidden from a node here, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        code = HIDES.format(folder=os.fsencode(folder))
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
    return "hiding a folder from a node needs the right to mount" if refused else ""


def other_code(folder: Path) -> dict[str, str]:
    """The variables of a node that runs a project of another day, whatever is sent to it."""
    project = folder.with_name(f"{folder.name}-project")
    shutil.copytree(ROOT / "enhance", project / "enhance", ignore=shutil.ignore_patterns("__pycache__"))
    with (project / "enhance" / "report.py").open("a") as file:
        file.write("ANOTHER_DAY = True\n")  # a comment alone would not change the name of the code
    return at_start(folder, OTHER_CODE.format(folder=str(project)))
