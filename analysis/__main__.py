"""`python -m analysis COMMAND RUN`: read the ledger of a run and show what it says."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from analysis.confirmation import confirmation, luck_lines
from analysis.figures import frontier_figure, save
from analysis.frontier import configurations, confirmed, ranked, remarks, results
from analysis.load import Ledger, LedgerError, Objective, load
from analysis.stopping import stopping_lines
from analysis.tables import confirmation_table, endings_line, frontier_table, hidden_line, legend_lines

_OTHERS = 15
_PIPED_WIDTH = 120


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
    files = _written(frame, frontier_figure(ledger, frame, objectives), options.out or options.run / "analysis")
    on, rest = int(frame["front"].sum()), int((~frame["front"]).sum())
    print(f"\n{ledger.runs['question'].iloc[-1]}\n")
    others = None if options.all else _OTHERS
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(highlight=False, width=width)
    console.print(frontier_table(frame, objectives, others))
    print("\n".join([*legend_lines(), *hidden_line(len(found) - len(frame))]))
    if confirmed(ledger):
        console.print(confirmation_table(confirmation(ledger, objectives), objectives))
    print("\n".join(said), end="\n" if said else "")
    hidden = f" ({rest - _OTHERS} not listed; --all lists them)" if not options.all and rest > _OTHERS else ""
    print(f"\n{on} on the front, {rest} others{hidden}")
    print(endings_line(ledger))
    print("\nwritten:")
    for path in files:
        print(f"  {path}")
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("front")')


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


def _written(frame: pd.DataFrame, figure: Figure, folder: Path) -> list[Path]:
    table = folder / "frontier.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = save(figure, folder, "frontier")
        frame.to_parquet(table, index=False)
    except OSError as error:
        raise LedgerError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
    return [*figures, table]


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
