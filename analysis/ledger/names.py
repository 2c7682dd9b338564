"""Names that tell several runs apart: in legends, columns and file names."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.ledger.files import LedgerError
from analysis.ledger.load import Ledger
from analysis.ledger.location import Location


def run_names(runs: Sequence[Location]) -> list[str]:
    """A unique name for each run: as many of the last parts of its path as tell it apart from the others.

    The runs A/run and B/run are "A/run" and "B/run". Raises LedgerError if the same run is given twice.
    """
    seen: dict[Location, Location] = {}
    for run in runs:
        # A link to a run is the same run.
        real = run.resolve() if isinstance(run, Path) else run
        if real in seen:
            other = "" if str(seen[real]) == str(run) else f" (the first time as {seen[real]})"
            raise LedgerError(f"{run} is named twice{other}; name each run once")
        seen[real] = run
    paths = [_parts(run) for run in runs]
    return [_shortest(own, paths) for own in paths]


def refuse_copies(ledgers: Iterable[Ledger]) -> None:
    """Raise LedgerError if two of `ledgers` record the same invocation: together they would count its trials twice."""
    seen: dict[str, Location] = {}
    for ledger in ledgers:
        for invocation in ledger.runs["run"]:
            if invocation in seen:
                raise LedgerError(f"{seen[invocation]} and {ledger.path} are copies of one run; give only one of them")
        # After the inner loop, so that a ledger is not a copy of itself.
        seen |= dict.fromkeys(ledger.runs["run"], ledger.path)


def letters(place: int) -> str:
    """A to Z for the runs 0 to 25, then AA, AB and so on, as a spreadsheet names its columns."""
    before, last = divmod(place, 26)
    return (letters(before - 1) if before else "") + chr(ord("A") + last)


def file_names(stem: str, names: Iterable[str]) -> list[str]:
    """STEM-NAME for each of `names` (from `run_names`), all different, so that no file overwrites another."""
    taken: set[str] = set()
    found = []
    for name in names:
        # "A/run" and "A-run" become equal here, and some file systems do not distinguish "Run" from "run".
        wanted = plain = f"{stem}-{name.strip('/').replace('://', '-').replace('/', '-')}"
        count = 1
        while wanted.casefold() in taken:
            count += 1
            wanted = f"{plain}-{count}"
        taken.add(wanted.casefold())
        found.append(wanted)
    return found


def _parts(run: Location) -> list[str]:
    """The parts of the absolute path: a relative one such as "." has no name of its own."""
    return (os.path.abspath(run) if isinstance(run, Path) else str(run)).split("/")


def _shortest(own: list[str], paths: Sequence[list[str]]) -> str:
    """The fewest last parts of `own` that no other of `paths` ends with."""
    ends = (own[-count:] for count in range(1, len(own) + 1))
    alone = (end for end in ends if sum(path[-len(end) :] == end for path in paths) == 1)
    return "/".join(next(alone, own))
