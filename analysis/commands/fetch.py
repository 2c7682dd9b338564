"""`analysis fetch`: copy a run from a shared folder or an object store to a local folder."""

import argparse
from pathlib import Path

from analysis.commands.answer import Answer
from analysis.commands.arguments import RUN, run_location
from analysis.ledger.fetch import Fetched, fetch
from analysis.ledger.load import LedgerError
from analysis.ledger.location import StorePath
from analysis.ledger.units import counted
from analysis.output import say_notes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", metavar="RUN", type=run_location, help=RUN)
    parser.add_argument("folder", metavar="DIR", type=_folder, help="a new local folder, or an earlier copy of the run")
    parser.add_argument(
        "--compact", action="store_true", help="pack the small files into a few large ones with the same rows"
    )


def run(options: argparse.Namespace) -> Answer:
    """Copy what is new. Raises LedgerError, also after copying if damaged files had to be left out."""
    done = fetch(options.run, options.folder, compact=options.compact)
    # Everything intact has been copied by now; the error only sets the exit status and names what is missing.
    if done.damaged:
        some, are = counted(done.damaged, "file"), "is" if done.damaged == 1 else "are"
        raise LedgerError(
            f"{some} of {options.run} {are} unreadable and not in {options.folder}; all others are", done.notes
        )
    say_notes(done.notes)
    numbers = {
        "run": options.run,
        "folder": options.folder,
        "fetched": done.files,
        "bytes": done.size_bytes,
        "already_there": done.there,
    }
    return Answer(numbers, lambda: print(f"{_said(done)}: {options.folder}"))


def _said(done: Fetched) -> str:
    if not done.files:
        return f"nothing new ({done.there} files are there)"
    parts = ", ".join(f"{name} {count}" for name, count in done.files.items())
    fetched = counted(sum(done.files.values()), "file")
    return f"fetched {fetched}, {done.size_bytes / 1e6:.1f} MB ({parts}); {done.there} were there"


def _folder(text: str) -> Path:
    place = run_location(text)
    if isinstance(place, StorePath):
        raise argparse.ArgumentTypeError(f"{text} must be a folder on this machine")
    return place
