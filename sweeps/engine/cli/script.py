"""The script that was started: is it the installed project's, and with which command is it started again?

`ray submit` copies one file to the head, beside a project that was copied there earlier. The file is always new; the
project may be old.
"""

import hashlib
import os
from pathlib import Path

import sweeps
from sweeps.engine.cluster.resources import ADDRESS
from sweeps.engine.environment import code_hash, python_command

INSTALLED = Path(sweeps.__file__).parent
SHORTEST_HASH = 6


class StaleCode(ValueError):
    """The script and the installed project are not of one state."""


def check_script(script: str, installed: Path = INSTALLED) -> None:
    """Raises StaleCode where a sweep of this project was copied from another state of it than is installed here.

    A script under another name is the user's own: what it trains is in the ledger, and needs no counterpart here.
    """
    path = Path(script)
    counterpart = installed / path.name
    if not path.is_file() or path.resolve().parent == installed.resolve() or not counterpart.is_file():
        return
    if _digest(path) != _digest(counterpart):
        raise StaleCode(
            f"{path} is not the {path.name} of the project installed in {installed.parent}: one of them is older. "
            "Bring the project up to date with `ray rsync-up cluster.yaml` on the machine from which you submit (the "
            "other nodes get the code of this one); or give a sweep of your own another name"
        )


def check_code(expected: str) -> None:
    """Raises StaleCode where the code of `enhance/` is not the one that --expect-code names by its first digits."""
    found = code_hash()
    if len(expected) < SHORTEST_HASH or not found.startswith(expected):
        raise StaleCode(
            f"--expect-code {expected}: the code of enhance/ here is {found} (at least {SHORTEST_HASH} digits must be "
            "given). Bring it up to date with `ray rsync-up cluster.yaml`; the plan (--dry-run) shows the code's name"
        )


def command_of(script: str, installed: Path = INSTALLED) -> str:
    """How the user starts the script: from where it was submitted if it was, else with the interpreter."""
    path = Path(script)
    if os.environ.get(ADDRESS) and path.resolve().parent == Path.home() and (installed / path.name).is_file():
        return f"ray submit cluster.yaml sweeps/{path.name} --"
    return f"{python_command()} {script or '-'}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
