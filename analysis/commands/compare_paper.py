"""`analysis compare-paper`: a grid of networks beside the paper's table."""

import argparse
from collections.abc import Sequence

import pandas as pd

from analysis.commands.answer import Answer, described, load_all
from analysis.commands.arguments import add_out, add_runs
from analysis.ledger.load import Ledger
from analysis.ledger.location import Location
from analysis.output import say_written, write
from analysis.paper.answer import TABLES, compare_networks, comparison_lines, conventions, correlations
from analysis.paper.figure import comparison_figure
from analysis.paper.table import comparison_table
from analysis.screen import terminal

_TABLE_NAMES = {"fpie1": "Table 1", "fpie2": "Table 2", "all": "Tables 1 and 2"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several are pooled")
    parser.add_argument("--table", choices=[*TABLES, "all"], default="all", help="FPIE's Table 1 or 2 (default: all)")
    add_out(parser)


def run(options: argparse.Namespace) -> Answer:
    """Compare the runs with the paper. Raises LedgerError."""
    ledgers = load_all(options.runs)
    frame = compare_networks(ledgers, options.table)
    title = f"Fast Perceptual Image Enhancement ({_TABLE_NAMES[options.table]}) beside this run"
    notes = conventions(ledgers, frame)
    figure = comparison_figure(title, frame, [*comparison_lines(frame)[:2], *notes])
    files = write(frame, figure, options.out or options.runs[0] / "analysis", f"compare-{options.table}")
    numbers = {
        "runs": described(ledgers),
        "table": options.table,
        "correlations": correlations(frame),
        "networks": frame,
        "differences": notes,
        "files": files,
    }
    return Answer(numbers, lambda: _say(title, ledgers, frame, files))


def _say(title: str, ledgers: Sequence[Ledger], frame: pd.DataFrame, files: list[Location]) -> None:
    print(f"\n{title}\n")
    terminal().print(comparison_table(frame))
    print("time: in units of the DPED baseline's, in brackets its interval; front: the sides on which it is not beaten")
    differing = (f"not the same: {note}" for note in conventions(ledgers, frame))
    print("\n".join(["", *comparison_lines(frame), "", *differing]))
    say_written(files)
