"""What diverged and from which learning rate on, how much the seed matters, and the mean curves of losses."""

from collections.abc import Sequence

import pandas as pd

from analysis.drawing.sheet import svg_text
from analysis.report.blocks import Block, Content, Folded, Picture, Table, Text
from analysis.report.marks import Marks
from analysis.report.reading import Reading
from analysis.stability.answer import MOST_CONFIGURATIONS
from analysis.stability.factors import Factor
from analysis.stability.figure import curves_figure, stability_figure
from analysis.stability.study import Study, curves_lines, study
from analysis.stability.table import spread_cell

_MOST_LEVELS = 60


def stability(reading: Reading) -> Content:
    """Rates of divergence, the edge of stability, the spread over seeds, and the figures of `analysis stability`."""
    found = study([reading.ledger])
    words = [*_edge_lines(found), *_kind_lines(found)]
    blocks: list[Block] = [Text(words), *_rates(found.divergence, [found.rate, found.by]), _spreads(found)]
    blocks += [_figure(found), *_curves(found)]
    lead = (
        f"{int(found.outcomes['diverged'].sum()):,} of {len(found.outcomes):,} trials that trained diverged (failed "
        "and refused trials do not count). Intervals of rates are Wilson's 95 % intervals over trials."
    )
    return Content(lead, blocks)


def _edge_lines(found: Study) -> list[str]:
    if found.rate is None:
        return ["No learning rate was searched, so there is no edge of stability to find."]
    return [f"{line}." for line in found.onsets]


def _kind_lines(found: Study) -> list[str]:
    counted = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items())
    return [
        *([f"Diverged by kind: {counted}."] if counted else []),
        *([f"{found.stopped:,} trials were stopped early; they count as not diverged."] if found.stopped else []),
    ]


def _rates(frame: pd.DataFrame, leading: Sequence[Factor | None]) -> list[Block]:
    """The rates of all trials and of the leading parameters; those of the other parameters are folded away."""
    # `divergence` puts the rate of all trials first.
    overall = float(frame["rate"].iloc[0])
    first = frame["factor"].isin(["", *(factor.name for factor in leading if factor)])
    others = frame[~first]
    count = others["factor"].nunique()
    if not count:
        return [_rate_table(frame[first], overall)]
    title = f"Divergence by the {count} other parameters" if count > 1 else "Divergence by the other parameter"
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
    caption = f"Bars: the rate and its interval, thick if it excludes the rate of all trials (the line).{left}"
    return Table(["searched", "level", "diverged", "rate", "95 % interval"], rows, (2, 3, 4), caption, marks)


def _spreads(found: Study) -> Table:
    frame, metric = found.spreads, found.objective.metric
    rows = [
        [
            found.named(row["level"]),
            *(f"{row[name]:,}" for name in ("configurations", "seeds", "lost")),
            spread_cell(row, "sd", metric),
            spread_cell(row, "iqm", metric),
        ]
        for row in frame.to_dict("records")
    ]
    drawn = bool((frame["drawn"] == MOST_CONFIGURATIONS).any())
    some = f" Means are over {MOST_CONFIGURATIONS} configurations per level, drawn at random." if drawn else ""
    caption = f"{found.score} over seeds, with 95 % intervals.{some}"
    names = ["level", "configurations", "seeds", "diverged", "sd over seeds", "interquartile mean"]
    return Table(names, rows, range(1, 6), caption)


def _figure(found: Study) -> Picture:
    parts = {
        "the share that diverged against the learning rate": found.edge is not None,
        "the median score of two parameters' values, outlined where half diverged": found.heat is not None,
        "performance profiles": len(found.profiles) > 0,
        "the spread over seeds": bool(found.spreads["sd"].notna().any()),
    }
    words = "; ".join(text for text, there in parts.items() if there)
    figure = stability_figure("What is stable, and where divergence sets in", found, found.trials_lines)
    return Picture(svg_text(figure), f"Plots: {words or 'none, as nothing completed'}.")


def _curves(found: Study) -> list[Block]:
    curves = found.curves
    if not len(curves.means):
        return []
    figure = curves_figure("Means over trials", curves.means, curves.panels, curves_lines(curves))
    there = curves.means["curve"].drop_duplicates().tolist()
    names = ", ".join(label for column, label in curves.panels.items() if column in there)
    lines = ", ".join(map(str, curves.means["line"].drop_duplicates()))
    picture = Picture(svg_text(figure), f"Mean curves over steps of {names}; one line each for {lines}.")
    return [Folded("Mean curves of scores, losses and signals", [picture])]
