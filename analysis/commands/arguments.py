"""Arguments that commands have in common: where runs lie, and where files go."""

import argparse

from analysis.ledger.location import KINDS, Location, LocationError, StoreError, locate

RUN = f"where the run lies: {KINDS}"


def add_runs(parser: argparse.ArgumentParser, several: str = "") -> None:
    """One RUN or several; `several` says what a command makes of more than one."""
    text = f"{RUN}; {several}" if several else RUN
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=text)


def add_out(parser: argparse.ArgumentParser, default: str = "analysis in the first RUN", what: str = "files") -> None:
    """--out, the folder of what a command writes."""
    text = f"write the {what} to this folder (default: {default})"
    parser.add_argument("--out", metavar="DIR", type=run_location, help=text)


def run_location(text: str) -> Location:
    """An argument that names a run or a folder. Raises argparse.ArgumentTypeError, with the reason."""
    try:
        return locate(text)
    except (LocationError, StoreError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def at_least(least: int, text: str) -> int:
    """A whole number of `least` or more. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= {least}")
    return int(text)
