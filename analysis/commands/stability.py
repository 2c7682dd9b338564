"""`analysis stability`: what diverges, where divergence sets in, and what seeds decide."""

import argparse

import pandas as pd

from analysis.commands.arguments import RUN, run_location
from analysis.ledger.load import Objective, load
from analysis.ledger.units import metric_label
from analysis.output import console, say_notes, say_written, write_numbers, written
from analysis.stability.answer import (
    MOST_CONFIGURATIONS,
    default_grouping,
    divergence,
    divergence_kinds,
    first_objective,
    onset_lines,
    outcomes,
    varying_factors,
)
from analysis.stability.curves import DIAGNOSTICS, diagnostics_by
from analysis.stability.factors import find_factor, learning_rate, searched_factors
from analysis.stability.figure import curves_figure, rates_figure, stability_figure
from analysis.stability.study import Answers, Curves, answered, curves_lines, curves_of, pair_of, trials_lines
from analysis.stability.table import diagnostics_table, divergence_table, spreads_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    parser.add_argument("runs", metavar="RUN", type=run_location, nargs="+", help=RUN)
    parser.add_argument(
        "--out", metavar="DIR", type=run_location, help="where the files go (default: analysis in first RUN)"
    )
    parser.add_argument("--by", metavar="NAME", help="the searched parameter whose values are told apart")
    parser.add_argument("--rate", metavar="NAME", help="what grows to the edge of stability (default: optimizer.lr)")
    parser.add_argument("--heat", metavar=("A", "B"), nargs=2, help="the two parameters of the heat map")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    ledgers = [load(run) for run in options.runs]
    say_notes(note for ledger in ledgers for note in ledger.notes)
    frame = outcomes(ledgers, searched_factors(ledgers))
    factors, objective = varying_factors(frame, ledgers), first_objective(ledgers)
    rate = find_factor(options.rate, factors) if options.rate else learning_rate(factors)
    by = find_factor(options.by, factors) if options.by else default_grouping(frame, factors, rate)
    rates = divergence(frame, factors)
    answers = answered(frame, objective, rate, by, pair_of(options.heat, factors, rate))
    curves = curves_of(ledgers, frame, rate)
    title, folder = str(ledgers[0].runs["question"].iloc[-1]), options.out or options.runs[0] / "analysis"
    foot = trials_lines(ledgers, frame)
    paths = written(rates, rates_figure(title, rates, foot), folder, "stability-rates")
    paths += written(_numbers(answers), stability_figure(title, answers, foot), folder, "stability")
    if len(curves.means):
        figure = curves_figure(title, curves.means, curves.panels, curves_lines(curves))
        paths += written(curves.means, figure, folder, "stability-curves")
        paths.append(write_numbers(curves.figures, folder, "stability-diagnostics"))
    _say(title, frame, rates, answers, curves, objective)
    say_written(paths)


# --- the words ---------------------------------------------------------------------------------------------------


def _say(
    title: str, frame: pd.DataFrame, rates: pd.DataFrame, answers: Answers, curves: Curves, objective: Objective
) -> None:
    print(f"\n{title}\n")
    screen = console()
    screen.print(divergence_table(rates))
    counted = ", ".join(f"{count} {kind}" for kind, count in divergence_kinds(frame).items())
    print(f"diverged by kind: {counted or 'none'}")
    if answers.edge is not None and answers.rate is not None:
        print("\n".join(f"{answers.rate.name}: {line}" for line in onset_lines(answers.edge)))
    if answers.spreads is not None:
        print(f"\n{metric_label(objective.metric)} over seeds (95 % intervals)\n")
        screen.print(spreads_table(answers.spreads, objective.metric))
        if (answers.spreads["drawn"] == MOST_CONFIGURATIONS).any():
            print(f"interquartile means: of {MOST_CONFIGURATIONS} configurations of a level, drawn at random")
    if len(found := curves.figures):
        print(f"{curves.said}; medians over trials\n")
        screen.print(diagnostics_table(diagnostics_by(found, found.set_index("trial")["line"])))
        print("\n".join(f"{name.replace('_', ' ')}: {text}" for name, text in DIAGNOSTICS.items()))


def _numbers(answers: Answers) -> pd.DataFrame:
    """The frames of the figure under one another, told apart by the column `answer`."""
    parts = {name: getattr(answers, name) for name in ("edge", "heat", "profiles", "spreads")}
    told = [part.assign(answer=name) for name, part in parts.items() if part is not None]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame
