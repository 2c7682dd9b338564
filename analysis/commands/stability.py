"""`analysis stability`: what diverges, where divergence sets in, and what seeds decide."""

import argparse
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.commands.arguments import RUN, run_location
from analysis.curves import DIAGNOSTICS, diagnostics, diagnostics_by, drawn, mean_curves, read_reports
from analysis.factors import Factor, factor_named, learning_rate, searched
from analysis.figures.stability import Answers, curves_figure, rates_figure, stability_figure
from analysis.load import Ledger, LedgerError, Objective, load
from analysis.output import console, say_notes, say_written, write_numbers, written
from analysis.stability import (
    MOST_CONFIGURATIONS,
    divergence,
    edge,
    first_objective,
    heat,
    kinds,
    levels,
    onset_lines,
    outcomes,
    profiles,
    side,
    spreads,
    varied,
)
from analysis.tables.stability import diagnostics_table, divergence_table, spreads_table
from analysis.units import COSTS, metric_label

_LABELS = 8  # named configurations in the figure of curves
_PANELS = {
    "signal.control_point": "mean control point",
    "loss.adversarial": "generator: adversarial loss",
    "signal.critic_loss": "critic: loss",
    "loss.total": "generator: total loss",
    "grad_norm": "generator: gradient norm",
}


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
    frame = outcomes(ledgers, searched(ledgers))
    factors, objective = varied(frame, ledgers), first_objective(ledgers)
    rate = factor_named(options.rate, factors) if options.rate else learning_rate(factors)
    by = factor_named(options.by, factors) if options.by else side(frame, factors, rate)
    rates = divergence(frame, factors)
    answers = _answers(frame, objective, rate, by, _pair(options.heat, factors, rate))
    found, curves, drawn_line = _curves(ledgers, frame, rate)
    title, folder = str(ledgers[0].runs["question"].iloc[-1]), options.out or options.runs[0] / "analysis"
    foot = _foot(ledgers, frame)
    paths = written(rates, rates_figure(title, rates, foot), folder, "stability-rates")
    paths += written(_numbers(answers), stability_figure(title, answers, foot), folder, "stability")
    if len(curves):
        paths += written(curves, _curves_figure(title, curves, ledgers, drawn_line), folder, "stability-curves")
        paths.append(write_numbers(found, folder, "stability-diagnostics"))
    _say(title, frame, rates, answers, found, drawn_line, objective)
    say_written(paths)


# --- the choices -------------------------------------------------------------------------------------------------


def _pair(named: Sequence[str] | None, factors: Sequence[Factor], rate: Factor | None) -> tuple[Factor, ...]:
    """The factors of the heat map: those asked for, learning rate and optimizer, or the first two."""
    if named:
        first, second = (factor_named(name, factors) for name in named)
        if first == second:
            raise LedgerError(f"a heat map needs two different parameters, got {first.name} twice")
        return first, second
    ordered = [rate, *(factor for factor in factors if factor != rate)] if rate else list(factors)
    ordered.sort(key=lambda factor: (factor != rate, factor.name != "optimizer.name"))
    return tuple(ordered[:2]) if len(ordered) >= 2 else ()


def _answers(
    frame: pd.DataFrame,
    objective: Objective,
    rate: Factor | None,
    by: Factor | None,
    pair: Sequence[Factor],
) -> Answers:
    across, up = pair or (None, None)
    return Answers(
        profiles(frame, objective, by),
        metric_label(objective.metric),
        edge(frame, rate, by) if rate else None,
        rate,
        heat(frame, across, up) if across and up else None,
        across,
        up,
        spreads(frame, objective, by),
        by,
    )


# --- curves ------------------------------------------------------------------------------------------------------


def _curves(
    ledgers: Sequence[Ledger], frame: pd.DataFrame, rate: Factor | None
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The figures of trials, the mean curves, and a sentence that says of which trials."""
    some = drawn(frame)
    line = _lines(some, rate)
    columns = [*_scores(ledgers), *_PANELS]
    reports = read_reports(ledgers, some, columns)
    found = diagnostics(reports).assign(line=lambda own: own["trial"].map(line))
    of = f"all {len(some)}" if len(some) == len(frame) else f"{len(some):,} of {len(frame):,}"
    said = f"curves: {of} trials, drawn at random" if len(some) < len(frame) else f"curves: {of} trials"
    return found, mean_curves(reports, line, columns), said


def _scores(ledgers: Sequence[Ledger]) -> dict[str, str]:
    """The columns of the first run's scores, with their labels."""
    return {own.column: metric_label(own.metric) for own in ledgers[0].objectives if own.metric not in COSTS}


def _lines(frame: pd.DataFrame, rate: Factor | None) -> pd.Series:
    """The line of each trial (the index): its configuration's name, or else its level of the learning rate."""
    index = pd.Index(frame["trial"])
    names = frame["label"].astype(str).to_numpy()
    named = pd.Series(names, index=index)
    known = named[named != ""]
    if known.nunique() > 1:
        return known[known.isin(known.drop_duplicates().head(_LABELS))]
    if rate is None:
        return pd.Series("all trials", index=index)
    found = levels(frame, rate)
    texts = [f"{rate.short} {found.texts[code]}" if code >= 0 else None for code in found.code]
    return pd.Series(texts, index=index)


def _curves_figure(title: str, curves: pd.DataFrame, ledgers: Sequence[Ledger], said: str) -> Figure:
    names = {**_scores(ledgers), **_PANELS}
    foot = [f"{said[0].upper()}{said[1:]}. Bands: 95 % t intervals of the mean over 3 or more trials.",
            "Each point is a report: losses and norms are means over the steps since the one before."]  # fmt: skip
    return curves_figure(title, curves, names, foot)


# --- the words ---------------------------------------------------------------------------------------------------


def _foot(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    stopped = int((frame["ending"] == "stopped").sum())
    spec = ", ".join(sorted({str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in ledgers}))
    return [
        f"{len(frame)} trials that trained, {int(frame['diverged'].sum())} diverged. Data: {spec}. Intervals: 95 %; "
        "of rates over trials (Wilson), of spreads over seeds (chi-squared).",
        *([f"{stopped} were stopped early: they count as not diverged, and are in no profile."] if stopped else []),
    ]


def _say(
    title: str, frame: pd.DataFrame, rates: pd.DataFrame, answers: Answers, found: pd.DataFrame, said: str,
    objective: Objective,
) -> None:  # fmt: skip
    print(f"\n{title}\n")
    screen = console()
    screen.print(divergence_table(rates))
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds(frame).items())
    print(f"diverged by kind: {counted or 'none'}")
    if answers.edge is not None and answers.rate is not None:
        print("\n".join(f"{answers.rate.name}: {line}" for line in onset_lines(answers.edge)))
    if answers.spreads is not None:
        print(f"\n{metric_label(objective.metric)} over seeds (95 % intervals)\n")
        screen.print(spreads_table(answers.spreads, objective.metric))
        if (answers.spreads["drawn"] == MOST_CONFIGURATIONS).any():
            print(f"interquartile means: of {MOST_CONFIGURATIONS} configurations of a level, drawn at random")
    if len(found):
        print(f"{said}; medians over trials\n")
        screen.print(diagnostics_table(diagnostics_by(found, found.set_index("trial")["line"])))
        print("\n".join(f"{name.replace('_', ' ')}: {text}" for name, text in DIAGNOSTICS.items()))


def _numbers(answers: Answers) -> pd.DataFrame:
    """The frames of the figure under one another, told apart by the column `answer`."""
    parts = {name: getattr(answers, name) for name in ("edge", "heat", "profiles", "spreads")}
    told = [part.assign(answer=name) for name, part in parts.items() if part is not None]
    frame: pd.DataFrame = pd.concat(told, ignore_index=True)
    return frame
