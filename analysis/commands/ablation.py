"""`analysis ablation`: what each part of a configuration is worth, with and without it on the same seeds."""

import argparse

from analysis.ablation.answer import ablation
from analysis.ablation.figure import ablation_figure
from analysis.ablation.table import ablation_table, legend_lines
from analysis.commands.arguments import RUN, run_location
from analysis.frontier.confirmation import luck_lines
from analysis.ledger.load import Ledger, load
from analysis.ledger.location import Location
from analysis.output import console, say_notes, say_written, written


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument("--out", metavar="DIR", type=run_location, help="where the files go (default: RUN/analysis)")


def run(options: argparse.Namespace) -> None:
    """Carry the command out, run by run. Raises LedgerError."""
    several = len(options.runs) > 1
    for place in options.runs:
        ledger = load(place)
        say_notes(ledger.notes)
        stem = f"ablation-{place.name}" if several and options.out else "ablation"
        _one(ledger, options.out or place / "analysis", stem)


def _one(ledger: Ledger, folder: Location, stem: str) -> None:
    frame = ablation(ledger)
    title = str(ledger.runs["question"].iloc[-1])
    foot = legend_lines(ledger, frame)
    paths = written(frame, ablation_figure(title, frame, foot), folder, stem)
    print(f"\n{title}\n")
    screen = console()
    for metric in frame["metric"].drop_duplicates():
        screen.print(ablation_table(frame[frame["metric"] == metric]))
    print("\n".join([*foot, *luck_lines(ledger, ledger.objectives)]))
    say_written(paths)
