"""The tables of `analysis compare`."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from analysis.ledger.load import Objective
from analysis.ledger.units import metric_label, metric_text, p_text, signed_text
from analysis.screen import bare_table
from analysis.statistics.differences import NONE, PAIRED


def setup_table(frame: pd.DataFrame) -> Table:
    """Table of the differences in setup, from `setup.setup_differences`."""
    table = bare_table("differs in", "name", "A", "B", right=())
    before = None
    for row in frame.to_dict("records"):
        table.add_row(*map(Text, ("" if row["part"] == before else row["part"], row["name"], row["a"], row["b"])))
        before = row["part"]
    return table


def scores_table(frame: pd.DataFrame, objective: Objective, most: int | None) -> Table:
    """Averages and at most `most` configurations (None: all) of one objective, from `scores.score_differences`."""
    arrow = "\N{UPWARDS ARROW}" if objective.maximize else "\N{DOWNWARDS ARROW}"
    names = ("seeds", "A", "B", "B minus A", "p")
    table = bare_table(f"{metric_label(objective.metric)} {arrow}", "method", right=names)
    rows = frame[frame["metric"] == objective.metric]
    each = rows[rows["kind"] == "each"]
    shown = pd.concat([rows[rows["kind"] == "average"], each if most is None else each.head(most)])
    for row in shown.to_dict("records"):
        table.add_row(Text(str(row["label"])), _how(row), *_score_cells(row, objective.metric),
                      style="bold" if row["sure"] else "")  # fmt: skip
    return table


def endings_table(frame: pd.DataFrame) -> Table:
    """Rates of endings, from `endings.ending_differences`; bold: the interval excludes 0."""
    table = bare_table("ending", right=("A", "B", "B minus A", "95 % interval"))
    for row in frame.to_dict("records"):
        sides = [f"{row[f'count_{side}']} of {row[f'n_{side}']}" for side in "ab"]
        known = not pd.isna(row["mean"])
        cells = [f"{100 * row['mean']:+.1f} %", f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f} %"]
        table.add_row(
            row["ending"], *sides, *(cells if known else ["unknown", ""]), style="bold" if row["sure"] else ""
        )
    return table


def latency_table(frame: pd.DataFrame, most: int | None) -> Table:
    """Networks that both runs timed, from `latency.latency_differences`; bold: more than noise."""
    table = bare_table("network", right=("A (\N{MULTIPLICATION SIGN} DPED)", "B", "B / A", "95 % interval"))
    for row in (frame if most is None else frame.head(most)).to_dict("records"):
        ends = f"{row['low']:.3f} to {row['high']:.3f}" if row["again"] else "the same measurement"
        cells = [metric_text("latency_ratio", row[side]) for side in "ab"]
        table.add_row(Text(row["label"]), *cells, f"{row['ratio']:.3f}", ends, style="bold" if row["sure"] else "")
    return table


def _how(row: dict[Hashable, Any]) -> str:
    stage = ", confirmed" if row["stage"] == "confirm" else ""
    return f"{'no interval' if row['method'] == NONE else row['method']}{stage}"


def _score_cells(row: dict[Hashable, Any], metric: str) -> list[str]:
    seeds = str(row["n"]) if row["method"] == PAIRED else f"{row['n_a']} / {row['n_b']}"
    ends = "" if pd.isna(row["low"]) else f" ({signed_text(metric, row['low'])} to {signed_text(metric, row['high'])})"
    means = [metric_text(metric, row[side]) for side in "ab"]
    return [seeds, *means, signed_text(metric, row["mean"]) + ends, p_text(row["p_holm"])]
