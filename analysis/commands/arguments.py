"""Arguments that several commands share: where runs are, and where files go."""

import argparse

from analysis.ledger.location import KINDS, Location, LocationError, StoreError, locate

RUN = f"the run: {KINDS}"


def add_runs(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Add one or more RUN arguments; `several` says in the help how the command treats more than one."""
    text = f"{RUN}; {several}" if several else RUN
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=text)


def add_out(parser: argparse.ArgumentParser, default: str = "analysis in the first RUN", what: str = "files") -> None:
    """Add --out, the folder that a command writes to."""
    text = f"write the {what} to this folder (default: {default})"
    parser.add_argument("--out", metavar="DIR", type=run_location, help=text)


def run_location(text: str) -> Location:
    """Parse an argument that names a run or a folder. Raises argparse.ArgumentTypeError with the reason."""
    try:
        return locate(text)
    except (LocationError, StoreError) as error:
        # argparse shows the text of this kind of error only.
        raise argparse.ArgumentTypeError(str(error)) from None


def at_least(least: int, text: str) -> int:
    """Parse an integer >= `least`. Raises argparse.ArgumentTypeError."""
    # `int` alone would take " 5" and "1_000".
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= {least}")
    return int(text)
