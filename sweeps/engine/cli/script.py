"""The script that was started: whether it matches the installed project, and the command that starts it again.

`ray submit` copies one file to the head of a cluster, where the project was installed earlier. The file is always
new, but the project may be out of date.
"""

import hashlib
import os
from pathlib import Path

import sweeps
from analysis.screen import shell_words
from sweeps.engine.cluster.resources import ADDRESS
from sweeps.engine.environment import analysis_command, code_hash, python_command

INSTALLED = Path(sweeps.__file__).parent
SHORTEST_HASH = 6


class StaleCode(ValueError):
    """The script or the code does not match what is installed, or what was expected."""


def check_script(script: str, installed: Path = INSTALLED) -> None:
    """Raises StaleCode for a copy of one of the project's sweeps that differs from the installed one.

    A script under any other name is the user's own, and has nothing here to match.
    """
    path = Path(script)
    counterpart = installed / path.name
    # No file, as under `python -c`; the installed script itself; or a script of the user's own.
    if not path.is_file() or path.resolve().parent == installed.resolve() or not counterpart.is_file():
        return
    if _digest(path) != _digest(counterpart):
        raise StaleCode(
            f"{path} differs from {path.name} of the project installed in {installed.parent}: one of them is "
            "out of date. Update the project with `ray rsync-up cluster.yaml` on the machine you submit from "
            "(the other nodes get the code from this one); or rename the script, if it is a sweep of your own"
        )


def check_code(expected: str) -> None:
    """Raises StaleCode unless `expected` is the hash of the code in `enhance/`, or its first digits."""
    found = code_hash()
    if len(expected) < SHORTEST_HASH or not found.startswith(expected):
        raise StaleCode(
            f"--expect-code {expected}: the code in enhance/ here has the hash {found} (give at least "
            f"{SHORTEST_HASH} digits). Update it with `ray rsync-up cluster.yaml`; --dry-run prints the hash"
        )


def command_of(script: str, installed: Path = INSTALLED) -> str:
    """The command that starts the script: `ray submit` if that is how it got here, else the interpreter."""
    path = Path(script)
    # `ray submit` copies the script into the home folder of the head, whose environment names the cluster.
    if os.environ.get(ADDRESS) and path.resolve().parent == Path.home():
        for folder in (installed, installed.parent / "cluster"):
            if (folder / path.name).is_file():
                return f"ray submit cluster.yaml {shell_words(f'{folder.name}/{path.name}')} --"
    if path.name == "teststrip":
        return analysis_command()
    return f"{python_command()} {shell_words(script or '-')}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
