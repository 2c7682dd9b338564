"""`analysis stopping`: whether stopping trials early was right, and what it saved."""

import argparse

from analysis.commands.arguments import RUN, run_location
from analysis.ledger.load import Ledger, LedgerError, load
from analysis.ledger.location import Location
from analysis.output import console, say_notes, say_written, written
from analysis.stopping.audit import audit, foot_lines, numbers
from analysis.stopping.figure import stopping_figure
from analysis.stopping.replays import replay_command
from analysis.stopping.table import audit_cells, legend_lines


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument("--out", metavar="DIR", type=run_location, help="where the files go (default: RUN/analysis)")


def run(options: argparse.Namespace) -> None:
    """Carry the command out, run by run. Raises LedgerError."""
    names = [place.name for place in options.runs]
    twice = {name for name in names if names.count(name) > 1}
    if options.out and twice:
        raise LedgerError(f"two runs are called {', '.join(sorted(twice))}: give --out for each of them alone")
    for place in options.runs:
        ledger = load(place)
        say_notes(ledger.notes)
        stem = f"stopping-{place.name}" if len(names) > 1 and options.out else "stopping"
        _one(ledger, options.out or place / "analysis", stem)


def _one(ledger: Ledger, folder: Location, stem: str) -> None:
    found = audit(ledger)
    say_notes(found.notes)
    title = str(ledger.runs["question"].iloc[-1])
    paths = written(numbers(found), stopping_figure(title, found, foot_lines(ledger, found)), folder, stem)
    more = (
        [] if len(found.arms) else [f"no replays of other rules yet; they are made by: {replay_command(ledger.path)}"]
    )
    print(f"\n{title}\n")
    screen = console()
    for cells in audit_cells(found):
        screen.print(cells.to_table())
    print("\n".join([*legend_lines(), "", *found.said, *more]))
    say_written(paths)
