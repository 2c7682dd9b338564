"""Files that a configuration names, which hold pretrained weights: "file:PATH" or "file:PATH#DIGEST".

A path does not say what the file holds. `pin_digest` therefore appends the first 16 hexadecimal digits of the file's
sha256, so that the configuration identifies the weights by their content. A file that no longer matches its digest is
rejected when it is read.
"""

import hashlib
import re
from pathlib import Path

FILE = "file:"


def pin_digest(weights: str) -> str:
    """Append the digest of the file that `weights` names; without a file, or with a digest already, leave it alone.

    The path becomes absolute, since a worker may run in another folder. Raises OSError if the file cannot be read.
    """
    if not weights.startswith(FILE):
        return weights
    path, digest = path_and_digest(weights)
    return weights if digest else f"{FILE}{path.absolute()}#{content_digest(path)}"


def path_and_digest(weights: str) -> tuple[Path, str]:
    """Path and digest of "file:PATH#DIGEST"; the digest is "" if there is none."""
    name = weights.removeprefix(FILE)
    # Only 16 hexadecimal digits at the very end count: a path may itself contain "#".
    digest = re.search(r"#([0-9a-f]{16})$", name)
    return (Path(name[: digest.start()]), digest[1]) if digest else (Path(name), "")


def content_digest(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
