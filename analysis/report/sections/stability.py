"""What diverged and from which learning rate on, what seeds decide, and the mean curves of losses."""

from collections.abc import Sequence

import pandas as pd

from analysis.drawing.sheet import svg_text
from analysis.ledger.load import Ledger
from analysis.ledger.units import metric_label
from analysis.report.blocks import Block, Content, Folded, Picture, Table, Text
from analysis.report.marks import Marks
from analysis.report.reading import Reading
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
from analysis.stability.factors import Factor, learning_rate, searched_factors
from analysis.stability.figure import curves_figure, stability_figure
from analysis.stability.study import Answers, answered, curves_lines, curves_of, pair_of, trials_lines
from analysis.stability.table import spread_cell

_MOST_LEVELS = 60


def stability(reading: Reading) -> Content:
    """Rates of divergence, the edge of stability, the spread over seeds, and the figures of `analysis stability`."""
    ledger = reading.ledger
    frame = outcomes([ledger], searched_factors([ledger]))
    factors, objective = varying_factors(frame, [ledger]), first_objective([ledger])
    rate = learning_rate(factors)
    answers = answered(frame, objective, rate, default_grouping(frame, factors, rate), pair_of(None, factors, rate))
    words = [*_edge_lines(answers, rate), *_kind_lines(frame)]
    blocks: list[Block] = [Text(words), *_rates(divergence(frame, factors), [rate, answers.by])]
    if answers.spreads is not None:
        blocks.append(_spreads(answers.spreads, objective.metric, answers))
    blocks.append(_figure(ledger, answers, trials_lines([ledger], frame)))
    blocks += _curves(ledger, frame, rate)
    lead = (
        f"{int(frame['diverged'].sum()):,} of {len(frame):,} trials that trained diverged; failed and refused ones say "
        "nothing of it. Intervals are 95 %, of rates over trials (Wilson)."
    )
    return Content(lead, blocks)


def _edge_lines(answers: Answers, rate: Factor | None) -> list[str]:
    if answers.edge is None or rate is None:
        return ["No learning rate was searched, so there is no edge of stability to find."]
    return [f"{rate.name}: {line}." for line in onset_lines(answers.edge)]


def _kind_lines(frame: pd.DataFrame) -> list[str]:
    stopped = int((frame["ending"] == "stopped").sum())
    counted = ", ".join(f"{count} {kind}" for kind, count in divergence_kinds(frame).items())
    return [
        *([f"Diverged by kind: {counted}."] if counted else []),
        *([f"{stopped:,} trials were stopped early: they count as not diverged."] if stopped else []),
    ]


def _rates(frame: pd.DataFrame, leading: Sequence[Factor | None]) -> list[Block]:
    """The rates of all trials and of the leading parameters; those of the others where somebody asks."""
    overall = float(frame["rate"].iloc[0])
    first = frame["factor"].isin(["", *(factor.name for factor in leading if factor)])
    others = frame[~first]
    count = others["factor"].nunique()
    if not count:
        return [_rate_table(frame[first], overall)]
    title = f"What diverged by the {count} other parameters" if count > 1 else "What diverged by the other parameter"
    return [_rate_table(frame[first], overall), Folded(title, [_rate_table(others, overall)])]


def _rate_table(frame: pd.DataFrame, overall: float) -> Table:
    """A row per level, its interval drawn beside the overall rate."""
    shown = frame.head(_MOST_LEVELS)
    rows, before = [], ""
    for row in shown.to_dict("records"):
        name = "" if row["factor"] == before else str(row["factor"])
        before = row["factor"]
        ends = f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
        rows.append(
            [name, str(row["level"]), f"{row['diverged']:,} of {row['n']:,}", f"{100 * row['rate']:.1f} %", ends]
        )
    strong = ((shown["low"] > overall) | (shown["high"] < overall)).tolist()
    marks = Marks.of(shown["rate"], shown["low"], shown["high"], strong, (0.0, 1.0), overall, ("0", "100 %"))
    left = f" Shown: the first {len(shown)} of {len(frame)} levels." if len(shown) < len(frame) else ""
    caption = f"Drawn: the rate and its interval, thick where it leaves out the rate of all trials (the line).{left}"
    return Table(["searched", "level", "diverged", "rate", "95 % interval"], rows, (2, 3, 4), caption, marks)


def _spreads(frame: pd.DataFrame, metric: str, answers: Answers) -> Table:
    rows = [
        [
            answers.named(row["level"]),
            *(f"{row[name]:,}" for name in ("configurations", "seeds", "lost")),
            spread_cell(row, "sd", metric),
            spread_cell(row, "iqm", metric),
        ]
        for row in frame.to_dict("records")
    ]
    drawn = bool((frame["drawn"] == MOST_CONFIGURATIONS).any())
    some = f" Means are of {MOST_CONFIGURATIONS} configurations of a level, drawn at random." if drawn else ""
    caption = f"{metric_label(metric)} over seeds, with 95 % intervals.{some}"
    names = ["level", "configurations", "seeds", "diverged", "sd over seeds", "interquartile mean"]
    return Table(names, rows, range(1, 6), caption)


def _figure(ledger: Ledger, answers: Answers, foot: list[str]) -> Picture:
    parts = {
        "the share that diverged against the learning rate": answers.edge is not None,
        "the median score of two parameters' values, outlined where half diverged": answers.heat is not None,
        "performance profiles": len(answers.profiles) > 0,
        "the spread over seeds": answers.spreads is not None and bool(answers.spreads["sd"].notna().any()),
    }
    words = "; ".join(text for text, there in parts.items() if there)
    figure = stability_figure("What is stable, and where divergence sets in", answers, foot)
    return Picture(svg_text(figure), f"Plots: {words or 'none, as nothing completed'}.")


def _curves(ledger: Ledger, frame: pd.DataFrame, rate: Factor | None) -> list[Block]:
    curves = curves_of([ledger], frame, rate)
    if not len(curves.means):
        return []
    figure = curves_figure("Means over trials", curves.means, curves.panels, curves_lines(curves))
    there = curves.means["curve"].drop_duplicates().tolist()
    names = ", ".join(label for column, label in curves.panels.items() if column in there)
    lines = ", ".join(map(str, curves.means["line"].drop_duplicates()))
    picture = Picture(svg_text(figure), f"Mean curves over steps of {names}; a line each for {lines}.")
    return [Folded("Mean curves of scores, losses and signals", [picture])]
