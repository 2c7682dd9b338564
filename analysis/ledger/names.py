"""What runs are called where several stand side by side: in legends, in columns and in names of files."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.ledger.files import LedgerError
from analysis.ledger.location import Location


def run_names(runs: Sequence[Location]) -> list[str]:
    """A different name for each run: the last part of its path, or as many of the last parts as tell it apart.

    Two runs A/run and B/run are "A/run" and "B/run". Raises LedgerError where the same run is given twice.
    """
    seen: dict[Location, Location] = {}
    for run in runs:
        real = run.resolve() if isinstance(run, Path) else run  # a link to a run is the same run
        if real in seen:
            other = "" if str(seen[real]) == str(run) else f" (the first time as {seen[real]})"
            raise LedgerError(f"{run} is named twice{other}; name each run once")
        seen[real] = run
    paths = [_parts(run) for run in runs]
    return [_shortest(own, paths) for own in paths]


def file_names(stem: str, names: Iterable[str]) -> list[str]:
    """STEM-NAME for each of `names` (as `run_names` gives them), none of which would overwrite another's file."""
    taken: set[str] = set()
    found = []
    for name in names:
        # "A/run" and "A-run" become the same here; some file systems do not tell "Run" from "run".
        wanted = plain = f"{stem}-{name.strip('/').replace('://', '-').replace('/', '-')}"
        count = 1
        while wanted.casefold() in taken:
            count += 1
            wanted = f"{plain}-{count}"
        taken.add(wanted.casefold())
        found.append(wanted)
    return found


def _parts(run: Location) -> list[str]:
    """The path from its root; a relative one such as "." has no name of its own."""
    return (os.path.abspath(run) if isinstance(run, Path) else str(run)).split("/")


def _shortest(own: list[str], paths: Sequence[list[str]]) -> str:
    """The fewest last parts of `own` in which it differs from all others of `paths`."""
    ends = (own[-count:] for count in range(1, len(own) + 1))
    alone = (end for end in ends if sum(path[-len(end) :] == end for path in paths) == 1)
    return "/".join(next(alone, own))
