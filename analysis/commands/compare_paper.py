"""`analysis compare-paper`: a grid of networks beside the paper's table."""

import argparse

from analysis.commands.arguments import RUN, run_location
from analysis.ledger.load import load
from analysis.output import console, say_notes, say_written, written
from analysis.paper.answer import TABLES, compare_networks, comparison_lines, conventions
from analysis.paper.figure import comparison_figure
from analysis.paper.table import comparison_table

_TABLE_NAMES = {"fpie1": "Table 1", "fpie2": "Table 2", "all": "Tables 1 and 2"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=f"{RUN}; one or several")
    parser.add_argument("--table", choices=[*TABLES, "all"], default="all", help="FPIE's Table 1 or 2 (default: all)")
    parser.add_argument(
        "--out", metavar="DIR", type=run_location, help="where the files go (default: analysis in the first RUN)"
    )


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    ledgers = [load(run) for run in options.runs]
    say_notes(note for ledger in ledgers for note in ledger.notes)
    frame = compare_networks(ledgers, options.table)
    said, notes = comparison_lines(frame), conventions(ledgers, frame)
    title = f"Fast Perceptual Image Enhancement ({_TABLE_NAMES[options.table]}) beside this run"
    figure = comparison_figure(title, frame, [*said[:2], *notes])
    files = written(frame, figure, options.out or options.runs[0] / "analysis", f"compare-{options.table}")
    print(f"\n{title}\n")
    console().print(comparison_table(frame))
    print("time: in units of the DPED baseline's, in brackets its interval; front: the sides on which it is not beaten")
    print("\n".join(["", *said, "", *(f"not the same: {note}" for note in notes)]))
    say_written(files)
