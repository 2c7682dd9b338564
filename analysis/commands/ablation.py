"""`analysis ablation`: what each part of a configuration contributes, with and without it on the same seeds."""

import argparse
from typing import NamedTuple

import pandas as pd

from analysis.ablation.answer import ablation
from analysis.ablation.figure import ablation_figure
from analysis.ablation.table import ablation_table, legend_lines
from analysis.commands.answer import Answer, answer_each, described_one, question
from analysis.commands.arguments import add_out, add_runs
from analysis.frontier.confirmation import luck_lines
from analysis.ledger.design import design_of
from analysis.ledger.load import Ledger
from analysis.ledger.location import Location
from analysis.output import say_written, write
from analysis.screen import terminal


class _Found(NamedTuple):
    ledger: Ledger
    frame: pd.DataFrame
    files: list[Location]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several are answered separately")
    add_out(parser, "RUN/analysis")


def run(options: argparse.Namespace) -> Answer:
    """Answer each run separately. Raises LedgerError."""
    return answer_each("ablation", options, _one, _numbers, _say)


def _one(ledger: Ledger, folder: Location, stem: str) -> _Found:
    frame = ablation(ledger)
    figure = ablation_figure(question(ledger), frame, legend_lines(ledger, frame))
    return _Found(ledger, frame, write(frame, figure, folder, stem))


def _numbers(found: _Found) -> dict[str, object]:
    design = design_of(found.ledger).kind
    return {**described_one(found.ledger), "design": design, "effects": found.frame, "files": found.files}


def _say(found: _Found) -> None:
    print(f"\n{question(found.ledger)}\n")
    screen = terminal()
    for metric in found.frame["metric"].drop_duplicates():
        screen.print(ablation_table(found.frame[found.frame["metric"] == metric]))
    lines = legend_lines(found.ledger, found.frame)
    print("\n".join([*lines, *luck_lines(found.ledger, found.ledger.objectives)]))
    say_written(found.files)
