"""`analysis ablation`: what each part of a configuration is worth, with and without it on the same seeds."""

import argparse

import pandas as pd

from analysis.ablation import CONFIDENT, ablation
from analysis.commands.arguments import RUN, run_location
from analysis.confirmation import luck_lines
from analysis.design import AROUND, design_of
from analysis.figures.ablation import ablation_figure
from analysis.load import Ledger, load
from analysis.location import Location
from analysis.output import console, say_notes, say_written, written
from analysis.tables.ablation import ablation_table


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
    foot = _foot(ledger, frame)
    paths = written(frame, ablation_figure(title, frame, foot), folder, stem)
    print(f"\n{title}\n")
    screen = console()
    for metric in frame["metric"].drop_duplicates():
        screen.print(ablation_table(frame[frame["metric"] == metric]))
    print("\n".join([*foot, *luck_lines(ledger, ledger.objectives)]))
    say_written(paths)


def _foot(ledger: Ledger, frame: pd.DataFrame) -> list[str]:
    design, asked = design_of(ledger), int((frame["metric"] == frame["metric"].iloc[0]).sum())
    against = "Each row: the configuration less the full one, on the same seeds."
    between = "Each row: a change with all else equal, averaged over everything else, on the same seeds."
    left_out = "Pairs with a trial that did not complete are left out: what diverges is not in its effect."
    return [
        f"{against if design.name in AROUND else between} Bars: 95 % t intervals over {frame['seeds'].iloc[0]} seeds.",
        f"Blue, or bold: told apart from no effect at {CONFIDENT:g} after Holm's correction for {asked} effects.",
        f"Design: {design.name}. Data: {ledger.runs['run.data_spec'].iloc[-1]}.",
        *([left_out] if frame["lost"].any() else []),
    ]
