"""`analysis frontier`: the configurations that no other one beats."""

import argparse

from analysis.commands.arguments import RUN, run_location
from analysis.confirmation import confirmation, luck_lines
from analysis.figures.frontier import frontier_figure
from analysis.frontier import configurations, confirmed, ranked, remarks, results
from analysis.load import load, objectives_named
from analysis.output import console, say_notes, say_written, written
from analysis.stopping import stopping_lines
from analysis.tables.frontier import (
    confirmation_table,
    endings_line,
    frontier_table,
    hidden_line,
    legend_lines,
)

_OTHERS = 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("run", metavar="RUN", type=run_location, help=RUN)
    parser.add_argument("--out", metavar="DIR", type=run_location, help="where the files go (default: RUN/analysis)")
    parser.add_argument("--all", action="store_true", help=f"list every configuration, not only {_OTHERS} others")
    parser.add_argument("--search", action="store_true", help="the search's own scores, of all configurations")
    parser.add_argument("--objectives", metavar="METRIC", nargs="+", help="1 or 2 of the run's objectives")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    ledger = load(options.run)
    say_notes(ledger.notes)
    objectives = objectives_named(ledger, options.objectives)
    found = configurations(ledger, search=options.search)
    frame = ranked(found if options.search else results(found), objectives)
    say_notes(remarks(ledger, frame, objectives))
    said = [*luck_lines(ledger, objectives), *stopping_lines(ledger)]
    figure = frontier_figure(ledger, frame, objectives)
    files = written(frame, figure, options.out or options.run / "analysis", "frontier")
    on, rest = int(frame["front"].sum()), int((~frame["front"]).sum())
    print(f"\n{ledger.runs['question'].iloc[-1]}\n")
    others = None if options.all else _OTHERS
    screen = console()
    screen.print(frontier_table(frame, objectives, others))
    print("\n".join([*legend_lines(frame, objectives), *hidden_line(len(found) - len(frame))]))
    if confirmed(ledger):
        screen.print(confirmation_table(confirmation(ledger, objectives), objectives))
    print("\n".join(said), end="\n" if said else "")
    hidden = f" ({rest - _OTHERS} not listed; --all lists them)" if not options.all and rest > _OTHERS else ""
    print(f"\n{on} on the front, {rest} others{hidden}")
    print(endings_line(ledger))
    say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("front")')
