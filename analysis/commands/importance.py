"""`analysis importance`: which parameters mattered, for each objective."""

import argparse
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.commands.answer import Answer, described, load_all, question
from analysis.commands.arguments import add_out, add_runs
from analysis.importance.answer import (
    RESAMPLES,
    common_rung,
    configuration_scores,
    curves,
    importance,
    leading_pair,
    sample_lines,
    shared_space,
    surface,
    why_none,
)
from analysis.importance.figure import contours_figure, importance_figure, parallel_figure, slices_figure
from analysis.importance.table import importance_table, legend_lines
from analysis.ledger.load import Ledger, LedgerError, Objective, contract, objectives_named
from analysis.ledger.location import Location
from analysis.ledger.units import metric_label
from analysis.output import say_written, write
from analysis.screen import terminal
from analysis.statistics.importance import FEWEST, best_share

_SLICES = 6
"""How many parameters per objective get a plot of their own, among those that enough configurations have."""

_FEWEST_RESAMPLES = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several with the same search space are pooled")
    add_out(parser)
    add = parser.add_argument
    add("--objectives", metavar="METRIC", nargs="+", help="use only these of the run's objectives")
    add("--rung", metavar="N", help='compare scores at this rung, counted from 0, or "last": only completed trials '
                                    "(default: the last rung that every trial could reach)")  # fmt: skip
    add("--resamples", metavar="N", type=int, default=RESAMPLES,
        help=f"bootstrap resamples and permutations, at least {_FEWEST_RESAMPLES} (default: {RESAMPLES})")  # fmt: skip


def run(options: argparse.Namespace) -> Answer:
    """Compute, draw and write the importances. Raises LedgerError."""
    if options.resamples < _FEWEST_RESAMPLES:
        raise LedgerError(f"--resamples {options.resamples} is too few for an interval: at least {_FEWEST_RESAMPLES}")
    ledgers = load_all(options.runs)
    rung = _rung(ledgers, options.rung)
    objectives, left_out = _explainable(ledgers, objectives_named(ledgers[0], options.objectives), rung)
    with terminal(stderr=True).status("bootstrap and permutations"):
        frame = importance(ledgers, objectives, rung, options.resamples)
    said = {objective: sample_lines(ledgers, objective, rung) for objective in objectives}
    folder = options.out or options.runs[0] / "analysis"
    foot = [f"{line}." for line in dict.fromkeys(line for own in said.values() for line in own)]
    files = _pictures(ledgers, objectives, rung, frame, foot, folder)
    numbers = {
        "runs": described(ledgers),
        "objectives": list(objectives),
        "rung": rung,
        "step": contract(ledgers[0], "rungs")[rung],
        "resamples": options.resamples,
        "importances": frame,
        "sample": {objective.metric: lines for objective, lines in said.items()},
        "left_out": left_out,
        "files": files,
    }
    return Answer(numbers, lambda: _say(question(ledgers[0]), said, left_out, frame, options.resamples, files))


def _explainable(
    ledgers: list[Ledger], objectives: Sequence[Objective], rung: int
) -> tuple[tuple[Objective, ...], dict[str, str]]:
    """The objectives that parameters can account for, and why not for each other one, by its metric.

    Raises LedgerError where there is none.
    """
    left_out = {own.metric: why for own in objectives if (why := why_none(ledgers, own, rung))}
    if len(left_out) == len(objectives):
        raise LedgerError("; ".join(left_out.values()))
    return tuple(own for own in objectives if own.metric not in left_out), left_out


def _say(
    asked: str,
    said: Mapping[Objective, list[str]],
    left_out: Mapping[str, str],
    frame: pd.DataFrame,
    resamples: int,
    files: list[Location],
) -> None:
    print(f"\n{asked}\n")
    for objective, lines in said.items():
        own = frame[frame["metric"] == objective.metric]
        print(f"{metric_label(objective.metric)}\n")
        print("\n".join(lines))
        terminal().print(importance_table(own))
        print("\n".join(legend_lines(own, best_share(int(own["n"].max())), resamples)), end="\n\n")
    for metric, why in left_out.items():
        print(f"{metric_label(metric)}\n\nleft out: {why}\n")
    say_written(files)


def _pictures(
    ledgers: list[Ledger],
    objectives: tuple[Objective, ...],
    rung: int,
    frame: pd.DataFrame,
    foot: list[str],
    out: Location,
) -> list[Location]:
    """Four pictures, each with its numbers: importances, scores along one parameter, over two, and over all."""
    asked, parameters = question(ledgers[0]), shared_space(ledgers)
    scores = {objective: configuration_scores(ledgers, objective, rung) for objective in objectives}
    enough = frame[frame["n"] >= FEWEST]
    leading = {o: list(enough.loc[enough["metric"] == o.metric, "parameter"])[:_SLICES] for o in objectives}
    lines = {o: curves(ledgers, o, rung, leading[o]) for o in objectives}
    pairs = {o: pair for o in objectives if (pair := leading_pair(frame, scores[o], o.metric))}
    grids = {o: surface(ledgers, o, rung, pair) for o, pair in pairs.items()}
    bars = "Bars: 95 % intervals over configurations. Dashed: what chance alone reaches one time in twenty."
    files = write(frame, importance_figure(f"What mattered? {asked}", frame, [*foot, bars]), out, "importance")
    forest = "Grey: configurations. Blue: what a random forest predicts, averaged over the other parameters."
    slices = slices_figure(asked, [*foot, forest], parameters, [(o, scores[o], lines[o]) for o in objectives])
    files += write(pd.concat(lines.values()).astype({"value": "str"}), slices, out, "importance-slices")
    if pairs:
        forest = "Surface: what a random forest predicts. Dots: configurations. Bright is better."
        contours = contours_figure(asked, [*foot, forest], parameters, [(o, scores[o], grids[o]) for o in pairs])
        numbers = pd.concat(grids.values()).astype({"x_value": "str", "y_value": "str"})
        files += write(numbers, contours, out, "importance-contours")
    each = "A line per configuration; bright is better. Thin where it passes over what is switched off in it."
    parallel = parallel_figure(asked, [*foot, each], parameters, list(scores.items()))
    numbers = pd.concat([own.assign(metric=o.metric) for o, own in scores.items()])
    typed = {own.name: "float64" if own.ordered else "str" for own in parameters}
    return [*files, *write(numbers.astype(typed), parallel, out, "importance-parallel")]


def _rung(ledgers: list[Ledger], text: str | None) -> int:
    count = len(contract(ledgers[0], "rungs"))
    if text is None:
        return common_rung(ledgers)
    if text == "last":
        return count - 1
    if not text.isdecimal() or int(text) >= count:
        raise LedgerError(f"--rung {text}: the rungs are 0 to {count - 1}, or last")
    return int(text)
