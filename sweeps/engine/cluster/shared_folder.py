"""Check that all machines of a cluster share the folder of a run: the driver writes a file, and each machine another.

Only the driver writes a ledger. But on a disk that only the driver's machine sees, the ledger is lost with the machine,
and a run should survive the loss of its cluster's head.
"""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PREFIX = ".seen-"

PATIENCE_S = 5.0
"""A new file may take this long to appear on another machine: network file systems cache for seconds that a file is
missing."""


@dataclass(frozen=True)
class SharedFolderCheck:
    """The driver's file in `folder` (absolute). `made` are the folders created for it, the innermost first."""

    folder: Path
    token: str
    made: tuple[Path, ...] = ()

    @property
    def file(self) -> Path:
        """The file that the driver writes."""
        return self.folder / f"{PREFIX}{self.token}"

    def answer(self, node: str) -> Path:
        """The file that the machine `node` (Ray's id) writes."""
        return self.folder / f"{PREFIX}{self.token}-{node}"


def show(folder: Path) -> SharedFolderCheck:
    """Write the driver's file, making the folder if needed. Raises OSError if it cannot be written."""
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    check = SharedFolderCheck(folder, secrets.token_hex(8), tuple(missing))
    check.file.write_text(check.token)
    return check


def hide(check: SharedFolderCheck) -> None:
    """Remove the files of `show` and of the machines, and the folders that `show` made if they are empty."""
    for path in check.folder.glob(f"{PREFIX}{check.token}*"):
        path.unlink(missing_ok=True)
    for folder in check.made:
        try:
            folder.rmdir()
        except OSError:
            # It is not empty: the run has begun.
            return


def clear(folder: Path, but: SharedFolderCheck) -> None:
    """Remove the files of killed drivers, but not those of `but`. Call it only while holding the run's lock."""
    for path in folder.glob(f"{PREFIX}*"):
        if not path.name.startswith(but.file.name):
            path.unlink(missing_ok=True)


def look(check: SharedFolderCheck, node: str, patience_s: float = PATIENCE_S) -> str:
    """On another machine: why it does not share the folder, "" if it sees the driver's file and has written its own."""
    # The content, not only that the file exists: a network file system may show a new file before what is in it.
    if not wait_for(lambda: _text(check.file) == check.token, patience_s):
        return f"{check.folder} is not the same folder there as on the driver's machine"
    try:
        with check.answer(node).open("w") as file:
            file.write(node)
            # Out of this machine's cache: the driver waits only PATIENCE_S for it.
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"{check.folder} cannot be written there: {error.strerror or error}"
    return ""


def has_answered(check: SharedFolderCheck, node: str, patience_s: float = PATIENCE_S) -> bool:
    """On the driver's machine: whether the file of `node` has appeared."""
    return wait_for(lambda: _text(check.answer(node)) == node, patience_s)


def wait_for(true: Callable[[], bool], patience_s: float) -> bool:
    """Call `true` until it returns True or `patience_s` seconds are over; returns its last answer."""
    until = time.monotonic() + patience_s
    while not (now := true()) and time.monotonic() < until:
        time.sleep(0.1)
    return now


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
