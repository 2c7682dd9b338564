"""Files that a configuration names, here those of pretrained weights: "file:PATH", or "file:PATH#DIGEST".

A path says nothing of what lies there. So that a trial is named by the content of its weights, `pinned` appends the
first 16 hexadecimal digits of the file's sha256; a file whose digest has changed since is refused when it is read.
"""

import hashlib
import re
from pathlib import Path

FILE = "file:"


def pinned(weights: str) -> str:
    """`weights`, with the digest of its file appended if it names one and has none yet.

    The path becomes absolute. Raises OSError where the file cannot be read.
    """
    if not weights.startswith(FILE):
        return weights
    path, digest = path_and_digest(weights)
    return weights if digest else f"{FILE}{path.absolute()}#{content_digest(path)}"


def path_and_digest(weights: str) -> tuple[Path, str]:
    """Path and digest ("" without one); only 16 hexadecimal digits at the end are one, for a path may hold a "#"."""
    name = weights.removeprefix(FILE)
    digest = re.search(r"#([0-9a-f]{16})$", name)
    return (Path(name[: digest.start()]), digest[1]) if digest else (Path(name), "")


def content_digest(path: Path) -> str:
    """16 hexadecimal digits of the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
