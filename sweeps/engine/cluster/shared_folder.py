"""Whether the machines of a cluster see the folder of a run: a file is shown there, and each machine answers beside it.

The driver alone writes a ledger. But a ledger on a disk that only the driver's machine sees ends with that machine, and
a run should outlive the head of its cluster.
"""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PREFIX = ".seen-"

PATIENCE_S = 5.0
"""How long a file may take to be seen on another machine: network file systems remember for some seconds what was not
there."""


@dataclass(frozen=True)
class SharedFolderCheck:
    """The file that is shown: `folder` is absolute, `made` the folders that were made for it, the innermost first."""

    folder: Path
    token: str
    made: tuple[Path, ...] = ()

    @property
    def file(self) -> Path:
        """What the driver shows."""
        return self.folder / f"{PREFIX}{self.token}"

    def answer(self, node: str) -> Path:
        """What the machine `node` (Ray's id) writes."""
        return self.folder / f"{PREFIX}{self.token}-{node}"


def show(folder: Path) -> SharedFolderCheck:
    """Show the folder to others. Raises OSError where it cannot be written."""
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    check = SharedFolderCheck(folder, secrets.token_hex(8), tuple(missing))
    check.file.write_text(check.token)
    return check


def hide(check: SharedFolderCheck) -> None:
    """Take everything away that `show` and the machines have left, and the folders where nothing else is in them."""
    for path in check.folder.glob(f"{PREFIX}{check.token}*"):
        path.unlink(missing_ok=True)
    for folder in check.made:
        try:
            folder.rmdir()
        except OSError:  # it is in use
            return


def clear(folder: Path, but: SharedFolderCheck) -> None:
    """Take away what killed drivers have left; only for the one who holds the folder."""
    for path in folder.glob(f"{PREFIX}*"):
        if not path.name.startswith(but.file.name):
            path.unlink(missing_ok=True)


def look(check: SharedFolderCheck, node: str, patience_s: float = PATIENCE_S) -> str:
    """On another machine: does it see what was shown, and can it answer? "" if so, else why not."""
    if not waited_for(lambda: _text(check.file) == check.token, patience_s):
        return f"{check.folder} is not the same folder there as on the driver's machine"
    try:
        with check.answer(node).open("w") as file:
            file.write(node)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"{check.folder} cannot be written there: {error.strerror or error}"
    return ""


def answered(check: SharedFolderCheck, node: str, patience_s: float = PATIENCE_S) -> bool:
    """On the driver's machine: has the answer of `node` arrived?"""
    return waited_for(lambda: _text(check.answer(node)) == node, patience_s)


def waited_for(true: Callable[[], bool], patience_s: float) -> bool:
    """Ask until it is true or patience is over."""
    until = time.monotonic() + patience_s
    while not (now := true()) and time.monotonic() < until:
        time.sleep(0.1)
    return now


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
