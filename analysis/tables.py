"""Tables and sentences for the terminal: frames in, rich renderables and texts out. Prints nothing."""

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.load import ENDINGS, Ledger, Objective, not_ended
from analysis.statistics import rate_interval
from analysis.units import metric_label, metric_text


def frontier_table(frame: pd.DataFrame, objectives: Sequence[Objective], others: int | None) -> Table:
    """The front of `frame` (as `frontier.ranked` gives it) and at most `others` further rows (None: all of them)."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("front", justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for objective in objectives:
        arrow = "\N{UPWARDS ARROW}" if objective.maximize else "\N{DOWNWARDS ARROW}"
        table.add_column(f"{metric_label(objective.metric)} {arrow}", justify="right", no_wrap=True)
    table.add_column("\N{PLUS-MINUS SIGN} over", no_wrap=True)
    table.add_column("lost", justify="right", no_wrap=True)
    rest = frame[~frame["front"]]
    shown = pd.concat([frame[frame["front"]], rest if others is None else rest.head(others)])
    for row in shown.to_dict("records"):
        number = str(row["number"]) if row["front"] else ""
        cells = [_estimate(row, objective.metric) for objective in objectives]
        style = "bold" if row["front"] else ""
        table.add_row(number, Text(row["label"]), *cells, _over(row), _lost(row), style=style)
    return table


def legend_lines() -> list[str]:
    """What the columns of `frontier_table` mean."""
    return [
        "\N{PLUS-MINUS SIGN} is half a 95 % t interval of the mean: over seeds, or, where there is only one seed, over",
        "the validation images, which does not say what another seed would give.",
        "lost: trials of the configuration that diverged or failed; the mean is over those that did not.",
    ]


def endings_line(ledger: Ledger) -> str:
    """How the trials ended; divergence and failure as a rate with its interval."""
    n = len(ledger.trials)
    counts = ledger.trials["ending"].value_counts()
    parts = []
    for ending in ENDINGS:
        count = int(counts.get(ending, 0))
        rate = f" ({_rate(count, n)})" if count and ending in ("diverged", "failed") else ""
        parts.append(f"{count} {ending}{rate}")
    open_trials = not_ended(ledger)
    waiting = f"; {open_trials} started and not ended" if open_trials else ""
    return f"{n} {'trial' if n == 1 else 'trials'} ended: {', '.join(parts)}{waiting}"


def _rate(count: int, n: int) -> str:
    percent = [100 * value for value in rate_interval(count, n)]
    return "{:.1f} %, 95 % interval {:.1f} to {:.1f} %".format(*percent)


def _estimate(row: dict[Hashable, Any], metric: str) -> str:
    mean, high = row[f"metric.{metric}"], row[f"high.{metric}"]
    if pd.isna(mean):
        return "not finite"
    half = "no interval" if pd.isna(high) else f"\N{PLUS-MINUS SIGN} {metric_text(metric, high - mean)}"
    return f"{metric_text(metric, mean)} {half}"


def _over(row: dict[Hashable, Any]) -> str:
    return f"{row['n_seeds']} seeds" if row["interval_over"] == "seeds" else f"{row['images']:.0f} images"


def _lost(row: dict[Hashable, Any]) -> str:
    """The trials of the same configuration that diverged or failed: the mean is over those that did not."""
    lost = row["n_diverged"] + row["n_failed"]
    return str(lost) if lost else ""
