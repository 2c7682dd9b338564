"""`analysis frontier`: the configurations that no other beats."""

import argparse

import pandas as pd

from analysis.commands.answer import Answer, described, load_all, question
from analysis.commands.arguments import add_out, add_runs
from analysis.frontier.answer import Frontier, frontier
from analysis.frontier.configurations import has_confirmations
from analysis.frontier.confirmation import confirmation, luck_lines, lucks
from analysis.frontier.figure import frontier_figure
from analysis.frontier.pirm import conventions
from analysis.frontier.table import (
    confirmation_table,
    endings_line,
    frontier_table,
    hidden_line,
    legend_lines,
    listed,
    pirm_table,
)
from analysis.ledger.load import Ledger
from analysis.ledger.location import Location
from analysis.output import say_notes, say_written, write
from analysis.paper.answer import TABLES, paper_points
from analysis.screen import terminal
from analysis.stopping.answer import stopping_lines

_OTHERS = 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several on the same data share one front")
    add_out(parser)
    add = parser.add_argument
    add("--all", action="store_true", help=f"list all configurations, not only the front and {_OTHERS} others")
    add("--search", action="store_true", help="show the search's own scores, for all configurations")
    add("--objectives", metavar="METRIC", nargs="+", help="use only these 1 to 3 of the run's objectives")
    add("--paper", choices=[*TABLES, "all"], help="also draw the paper's points from this table, if comparable")
    add("--pirm", action="store_true", help="add the scores A, B and C of the PIRM 2018 challenge")


def run(options: argparse.Namespace) -> Answer:
    """Find, draw and write the front. Raises LedgerError."""
    ledgers = load_all(options.runs)
    found = frontier(ledgers, options.objectives, options.search, options.pirm)
    # Before anything is drawn, since it may refuse.
    points = paper_points(options.paper, ledgers, found.objectives) if options.paper else None
    say_notes(found.caveats)
    figure = frontier_figure(ledgers, found.frame, found.objectives, found.chance_lines, points)
    files = write(_with_names(found, found.frame), figure, options.out or options.runs[0] / "analysis", "frontier")
    others = None if options.all else _OTHERS
    return Answer(_numbers(found, files, others), lambda: _say(found, files, others, options.pirm))


def _with_names(found: Frontier, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(run=[found.names[index] for index in frame["run"]])


def _numbers(found: Frontier, files: list[Location], others: int | None) -> dict[str, object]:
    chances, on = found.chances, int(found.frame["front"].sum())
    return {
        "runs": described(found.ledgers),
        "objectives": list(found.objectives),
        "search": found.search,
        "front": on,
        "others": len(found.frame) - on,
        "hidden": found.hidden,
        "knee": None if chances.knee is None else found.frame["number"].iloc[chances.knee],
        "knee_chance": chances.knee_chance,
        "hypervolume": chances.hypervolume,
        "configurations": _with_names(found, listed(found.frame, others)),
        "confirmations": [row for ledger, name in zip(found.ledgers, found.names, strict=True)
                          for row in _confirmations(found, ledger, name)],
        "luck": [{"run": name, "metric": metric, **luck._asdict()}
                 for ledger, name in zip(found.ledgers, found.names, strict=True)
                 for metric, luck in lucks(ledger, found.objectives).items()],
        "files": files,
    }  # fmt: skip


def _confirmations(found: Frontier, ledger: Ledger, name: str) -> list[dict[object, object]]:
    if not has_confirmations(ledger):
        return []
    return [{"run": name, **row} for row in confirmation(ledger, found.objectives).to_dict("records")]


def _say(found: Frontier, files: list[Location], others: int | None, pirm: bool) -> None:
    frame, objectives = found.frame, found.objectives
    on, rest = int(frame["front"].sum()), int((~frame["front"]).sum())
    print(f"\n{question(found.ledgers[0])}\n")
    screen = terminal()
    screen.print(frontier_table(frame, objectives, others))
    print("\n".join([*legend_lines(frame, objectives), *hidden_line(found.hidden), *found.chance_lines]))
    if pirm:
        screen.print(pirm_table(frame, len(frame) if others is None else others))
        print(conventions())
    for ledger in found.ledgers:
        if has_confirmations(ledger):
            screen.print(confirmation_table(confirmation(ledger, objectives), objectives))
        said = [*luck_lines(ledger, objectives), *stopping_lines(ledger)]
        # No blank line for a run that has nothing to add.
        print("\n".join(said), end="\n" if said else "")
    left = 0 if others is None else max(0, rest - others)
    hidden = f" ({left:,} not listed; --all lists them)" if left else ""
    print(f"\n{on:,} on the front, {rest:,} {'other' if rest == 1 else 'others'}{hidden}")
    for name, ledger in zip(found.names, found.ledgers, strict=True):
        print((f"{name}: " if len(found.ledgers) > 1 else "") + endings_line(ledger))
    say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("front")')
