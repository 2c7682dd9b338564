"""`analysis frontier`: the configurations that no other one beats."""

import argparse
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from analysis.commands.arguments import RUN, run_location
from analysis.frontier.chances import chance_lines, chances
from analysis.frontier.configurations import caveats, configurations, has_confirmations, rank, results
from analysis.frontier.confirmation import confirmation, luck_lines
from analysis.frontier.figure import frontier_figure, run_names
from analysis.frontier.pirm import conventions, with_pirm
from analysis.frontier.table import (
    confirmation_table,
    endings_line,
    frontier_table,
    hidden_line,
    legend_lines,
    pirm_table,
)
from analysis.ledger.load import Ledger, LedgerError, Objective, load, objectives_named
from analysis.output import console, say_notes, say_written, written
from analysis.paper.answer import TABLES, paper_points
from analysis.stopping.answer import stopping_lines

_OTHERS = 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument(
        "--out", metavar="DIR", type=run_location, help="where the files go (default: analysis in the first RUN)"
    )
    parser.add_argument("--all", action="store_true", help=f"list every configuration, not only {_OTHERS} others")
    parser.add_argument("--search", action="store_true", help="the search's own scores, of all configurations")
    parser.add_argument("--objectives", metavar="METRIC", nargs="+", help="1 to 3 of the run's objectives")
    parser.add_argument(
        "--paper", choices=[*TABLES, "all"], help="draw the points of a published table where they are comparable"
    )
    parser.add_argument("--pirm", action="store_true", help="the scores A, B and C of the PIRM 2018 challenge")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    ledgers = [load(run) for run in options.runs]
    say_notes(note for ledger in ledgers for note in ledger.notes)
    objectives = _common(ledgers, options.objectives)
    points = paper_points(options.paper, ledgers, objectives) if options.paper else None
    found = _together(ledgers, options)
    frame = rank(found if options.search else results(found), objectives)
    for index, ledger in enumerate(ledgers):
        say_notes(caveats(ledger, frame[frame["run"] == index], objectives))
    sure = chances(ledgers, frame, objectives, options.search)
    frame = frame.assign(chance=sure.front)
    said = chance_lines(sure, frame)
    figure = frontier_figure(ledgers, frame, objectives, said, points)
    names = run_names(ledgers)
    numbers = frame.assign(run=[names[index] for index in frame["run"]])
    files = written(numbers, figure, options.out or options.runs[0] / "analysis", "frontier")
    _say(ledgers, found, frame, objectives, said, options)
    say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("front")')


def _common(ledgers: Sequence[Ledger], named: Sequence[str] | None) -> tuple[Objective, ...]:
    """The objectives, the same in all runs, which must have been judged on the same pictures to share a front."""
    times = Counter(str(ledger.path) for ledger in ledgers)
    again = [path for path, count in times.items() if count > 1]
    if again:
        raise LedgerError(f"{again[0]} is named twice; name each run once")
    first = objectives_named(ledgers[0], named)
    for ledger in ledgers[1:]:
        other = objectives_named(ledger, named)
        if other != first:
            said = [", ".join(f"{own.direction} {own.metric}" for own in found) for found in (first, other)]
            raise LedgerError(
                f"the runs have different objectives ({said[0]}; {said[1]}); choose common ones with --objectives"
            )
    read = [ledger.read("trials", ["run.data"]) for ledger in ledgers]
    data = {value for frame in read if "run.data" in frame for value in frame["run.data"].dropna()}
    if len(ledgers) > 1 and len(data) > 1:
        raise LedgerError(
            f"the runs were judged on {len(data)} different data sets (run.data), so no front is common to them"
        )
    return first


def _together(ledgers: Sequence[Ledger], options: argparse.Namespace) -> pd.DataFrame:
    """The configurations of all runs; `run` is the number of the run, whose name is in the label of several."""
    names, parts = run_names(ledgers), []
    for index, ledger in enumerate(ledgers):
        frame = configurations(ledger, search=options.search).assign(run=index)
        if options.pirm:
            frame = with_pirm(frame, ledger, options.search)
        parts.append(frame if len(ledgers) == 1 else frame.assign(label=f"{names[index]}: " + frame["label"]))
    return pd.concat(parts, ignore_index=True)


def _say(
    ledgers: Sequence[Ledger],
    found: pd.DataFrame,
    frame: pd.DataFrame,
    objectives: Sequence[Objective],
    sure: Sequence[str],
    options: argparse.Namespace,
) -> None:
    on, rest = int(frame["front"].sum()), int((~frame["front"]).sum())
    print(f"\n{ledgers[0].runs['question'].iloc[-1]}\n")
    screen = console()
    screen.print(frontier_table(frame, objectives, None if options.all else _OTHERS))
    print("\n".join([*legend_lines(frame, objectives), *hidden_line(len(found) - len(frame)), *sure]))
    if options.pirm:
        screen.print(pirm_table(frame, on + rest if options.all else _OTHERS))
        print(conventions())
    for ledger in ledgers:
        if has_confirmations(ledger):
            screen.print(confirmation_table(confirmation(ledger, objectives), objectives))
        said = [*luck_lines(ledger, objectives), *stopping_lines(ledger)]
        print("\n".join(said), end="\n" if said else "")
    hidden = f" ({rest - _OTHERS:,} not listed; --all lists them)" if not options.all and rest > _OTHERS else ""
    print(f"\n{on:,} on the front, {rest:,} {'other' if rest == 1 else 'others'}{hidden}")
    for name, ledger in zip(run_names(ledgers), ledgers, strict=True):
        print((f"{name}: " if len(ledgers) > 1 else "") + endings_line(ledger))
