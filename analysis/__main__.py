"""`python -m analysis COMMAND RUN`: read the ledger of a run and show what it says."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from analysis.confirmation import confirmation, luck_lines
from analysis.figures import comparison_figure, frontier_figure, save
from analysis.frontier import configurations, confirmed, ranked, remarks, results
from analysis.load import Ledger, LedgerError, Objective, load
from analysis.papers import TABLES, compared, comparison_lines, conventions
from analysis.stopping import stopping_lines
from analysis.tables import (
    comparison_table,
    confirmation_table,
    endings_line,
    frontier_table,
    hidden_line,
    legend_lines,
)

_OTHERS = 15
_PIPED_WIDTH = 120
_TABLE_NAMES = {"fpie1": "Table 1", "fpie2": "Table 2", "all": "Tables 1 and 2"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit code: 0, or 2 with one sentence on stderr."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (LedgerError, OSError) as error:
        _say_notes(getattr(error, "notes", ()))
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Read the ledger of a run.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    frontier = commands.add_parser("frontier", help="the configurations that no other one beats, with intervals")
    frontier.set_defaults(command=_frontier)
    frontier.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    frontier.add_argument("--out", metavar="DIR", type=Path, help="where the files go (default: RUN/analysis)")
    frontier.add_argument("--all", action="store_true", help=f"list every configuration, not only {_OTHERS} others")
    frontier.add_argument("--search", action="store_true", help="the search's own scores, of all configurations")
    frontier.add_argument("--objectives", metavar="METRIC", nargs="+", help="1 or 2 of the run's objectives")
    paper = commands.add_parser("compare-paper", help="a grid of networks beside the paper's: times, MS-SSIM, fronts")
    paper.set_defaults(command=_compare_paper)
    paper.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="the folders of the runs")
    paper.add_argument("--table", choices=[*TABLES, "all"], default="all", help="FPIE's Table 1 or 2 (default: all)")
    paper.add_argument(
        "--out", metavar="DIR", type=Path, help="where the files go (default: analysis in the first RUN)"
    )
    return parser


# --- the commands ------------------------------------------------------------------------------------------------


def _frontier(options: argparse.Namespace) -> None:
    ledger = load(options.run)
    _say_notes(ledger.notes)
    objectives = _chosen(ledger, options.objectives)
    found = configurations(ledger, search=options.search)
    frame = ranked(found if options.search else results(found), objectives)
    _say_notes(remarks(ledger, frame, objectives))
    said = [*luck_lines(ledger, objectives), *stopping_lines(ledger)]
    figure = frontier_figure(ledger, frame, objectives)
    files = _written(frame, figure, options.out or options.run / "analysis", "frontier")
    on, rest = int(frame["front"].sum()), int((~frame["front"]).sum())
    print(f"\n{ledger.runs['question'].iloc[-1]}\n")
    others = None if options.all else _OTHERS
    console = _console()
    console.print(frontier_table(frame, objectives, others))
    print("\n".join([*legend_lines(frame, objectives), *hidden_line(len(found) - len(frame))]))
    if confirmed(ledger):
        console.print(confirmation_table(confirmation(ledger, objectives), objectives))
    print("\n".join(said), end="\n" if said else "")
    hidden = f" ({rest - _OTHERS} not listed; --all lists them)" if not options.all and rest > _OTHERS else ""
    print(f"\n{on} on the front, {rest} others{hidden}")
    print(endings_line(ledger))
    _say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("front")')


def _compare_paper(options: argparse.Namespace) -> None:
    ledgers = [load(run) for run in options.runs]
    _say_notes(note for ledger in ledgers for note in ledger.notes)
    frame = compared(ledgers, options.table)
    said, notes = comparison_lines(frame), conventions(ledgers, frame)
    title = f"Fast Perceptual Image Enhancement ({_TABLE_NAMES[options.table]}) beside this run"
    figure = comparison_figure(title, frame, [*said[:2], *notes])
    files = _written(frame, figure, options.out or options.runs[0] / "analysis", f"compare-{options.table}")
    print(f"\n{title}\n")
    _console().print(comparison_table(frame))
    print("time: in units of the DPED baseline's, in brackets its interval; front: the sides on which it is not beaten")
    print("\n".join(["", *said, "", *(f"not the same: {note}" for note in notes)]))
    _say_written(files)


# --- the steps ---------------------------------------------------------------------------------------------------


def _chosen(ledger: Ledger, metrics: Sequence[str] | None) -> tuple[Objective, ...]:
    """The objectives named by the user, in that order; those of the run where none is named."""
    if metrics is None:
        return ledger.objectives
    known = {objective.metric: objective for objective in ledger.objectives}
    unknown = [metric for metric in metrics if metric not in known]
    if unknown:
        raise LedgerError(f"{unknown[0]!r} is not an objective of this run; choose from {', '.join(known)}")
    return tuple(known[metric] for metric in dict.fromkeys(metrics))


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def _written(frame: pd.DataFrame, figure: Figure, folder: Path, stem: str) -> list[Path]:
    table = folder / f"{stem}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = save(figure, folder, stem)
        frame.to_parquet(table, index=False)
    except OSError as error:
        raise LedgerError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
    return [*figures, table]


def _say_written(paths: Iterable[Path]) -> None:
    print("\nwritten:")
    for path in paths:
        print(f"  {path}")


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
