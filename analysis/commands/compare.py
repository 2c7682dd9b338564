"""`analysis compare`: what differs between two runs, and which results differ by more than noise."""

import argparse

from analysis.commands.answer import Answer, described_one
from analysis.commands.arguments import RUN, add_out, run_location
from analysis.compare.answer import Comparison, compare, numbers
from analysis.compare.figure import two_runs_figure
from analysis.compare.pairs import sameness_lines
from analysis.compare.table import endings_table, latency_table, scores_table, setup_table
from analysis.compare.words import best_line, discordant_line, legend_lines, made_line, verdict_lines
from analysis.ledger.load import load
from analysis.ledger.location import Location
from analysis.output import say_notes, say_written, write, write_numbers
from analysis.screen import terminal

_MOST = 15


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("a", metavar="RUN_A", type=run_location, help=RUN)
    parser.add_argument("b", metavar="RUN_B", type=run_location, help="the run to compare with RUN_A")
    add_out(parser, "analysis in RUN_A")
    parser.add_argument("--all", action="store_true", help=f"list all configurations, not only {_MOST}")


def run(options: argparse.Namespace) -> Answer:
    """Compare, draw and write. Raises LedgerError."""
    a, b = load(options.a), load(options.b)
    say_notes(dict.fromkeys([*a.notes, *b.notes]))
    found = compare(a, b)
    files = _write(found, options.out or options.a / "analysis")
    most = None if options.all else _MOST
    return Answer(_numbers(found, files, most), lambda: _say(found, files, most))


def _write(found: Comparison, folder: Location) -> list[Location]:
    foot = [
        f"A: {found.a.path}. B: {found.b.path}.",
        made_line(found.setup),
        *verdict_lines(found.scores, found.scored),
        *(f"Not compared: {line}" for line in found.refused),
        "Bars: 95 % intervals; blue: more than noise (scores: corrected p < 0.05, Holm). "
        "Rates: Newcombe's interval; in brackets how many trials, A then B.",
    ]
    figure = two_runs_figure(found.title, found.scores, found.endings, found.scored, foot)
    files = write(numbers(found), figure, folder, "compare")
    return [*files, write_numbers(found.setup, folder, "compare-setup")]


def _numbers(found: Comparison, files: list[Location], most: int | None) -> dict[str, object]:
    return {
        "a": described_one(found.a),
        "b": described_one(found.b),
        "setup": found.setup,
        "sameness": found.sameness,
        "objectives": list(found.objectives),
        "scores": found.listed_scores(most),
        "endings": found.endings,
        "discordant": found.discordant,
        "latency": found.latency if most is None else found.latency.head(most),
        "best": found.best,
        "not_compared": list(found.refused),
        "files": files,
    }


# --- the words ---------------------------------------------------------------------------------------------------


def _say(found: Comparison, files: list[Location], most: int | None) -> None:
    print(f"\n{found.title}\n\nA: {found.a.path}\nB: {found.b.path}")
    if len(found.setup):
        terminal().print(setup_table(found.setup))
    else:
        print("\nthe setups do not differ\n")
    # Of two copies of one run every difference would be 0.
    if not found.sameness.whole:
        _say_scores(found, most)
    terminal().print(endings_table(found.endings))
    print("rates: Newcombe's intervals over trials, not corrected for multiple testing; bold: the interval excludes 0")
    print("\n".join(discordant_line(found.discordant)), end="\n" if found.discordant.both else "")
    if len(timed := found.latency):
        terminal().print(latency_table(timed, most))
        conditions = "; ".join(timed["conditions"].drop_duplicates())
        print(f"latency: {conditions}; not corrected for multiple testing; bold: the interval excludes 1")
    print("\n".join(["", *_lines(found), *(f"not compared: {line}" for line in found.refused)]))
    # Rows per objective; scores hold one for each configuration and objective.
    each = int((found.scores["kind"] == "each").sum() / max(len(found.scored), 1))
    if most is not None and each > most:
        print(f"({each - most} configurations not listed; --all lists them)")
    say_written(files)


def _say_scores(found: Comparison, most: int | None) -> None:
    for objective in found.scored:
        if (found.scores["metric"] == objective.metric).any():
            terminal().print(scores_table(found.scores, objective, most))
    if len(found.scores):
        print("\n".join(legend_lines(found.scores)))


def _lines(found: Comparison) -> list[str]:
    """The findings as sentences."""
    single = found.objectives[0].metric if len(found.objectives) == 1 else None
    top = [best_line(found.best, single)] if found.best else []
    return [*sameness_lines(found.sameness, found.pairing), *verdict_lines(found.scores, found.scored), *top]
