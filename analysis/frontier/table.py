"""The tables and sentences of a front and its confirmations."""

import textwrap
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.frontier.pirm import WEIGHTS
from analysis.ledger.load import Ledger, Objective, not_ended
from analysis.ledger.schema import ENDINGS, LOST
from analysis.ledger.units import COSTS, counted, metric_label, metric_text
from analysis.statistics.intervals import rate_interval

_HEAD = 18

CHANCE = "chance: probability that the configuration is on the true front, given the spread over seeds"


def frontier_table(frame: pd.DataFrame, objectives: Sequence[Objective], others: int | None) -> Table:
    """The front of `frame` (as `rank` gives it) and at most `others` further rows (None: all of them)."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("front", justify="right", no_wrap=True)
    sure = "chance" in frame.columns and frame["chance"].notna().any()
    if sure:
        table.add_column("chance", justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for objective in objectives:
        arrow = "\N{UPWARDS ARROW}" if objective.maximize else "\N{DOWNWARDS ARROW}"
        # A long heading would take width from the configurations' labels.
        head = textwrap.fill(f"{metric_label(objective.metric)} {arrow}", _HEAD)
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("\N{PLUS-MINUS SIGN} over", no_wrap=True)
    table.add_column("lost", justify="right", no_wrap=True)
    for row in listed(frame, others).to_dict("records"):
        number = str(row["number"]) if row["front"] else ""
        cells = [estimate(row, objective.metric) for objective in objectives]
        style = "bold" if row["front"] else ""
        chance = [chance_text(row["chance"])] if sure else []
        # Text, as the table may be printed by a console that reads markup.
        table.add_row(number, *chance, Text(row["label"]), *cells, over(row), _lost(row), style=style)
    return table


def listed(frame: pd.DataFrame, others: int | None) -> pd.DataFrame:
    """The rows of `frame` that are on the front, and at most `others` further ones (None: all of them)."""
    rest = frame[~frame["front"]]
    return pd.concat([frame[frame["front"]], rest if others is None else rest.head(others)])


def chance_text(value: float) -> str:
    """The text of a chance (0 to 1) in percent; empty if it is NaN."""
    return "" if pd.isna(value) else f"{100 * value:.0f} %"


def pirm_table(frame: pd.DataFrame, most: int) -> Table:
    """The scores A, B and C of the best `most` rows of `frame` (as `pirm.with_pirm` gives it), by A."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("configuration", overflow="fold")
    for name in WEIGHTS:
        table.add_column(f"PIRM {name}", justify="right", no_wrap=True)
    for row in frame.sort_values("pirm.A", ascending=False).head(most).to_dict("records"):
        cells = []
        for name in WEIGHTS:
            mean, low, high = (row[f"{part}.{name}"] for part in ("pirm", "pirm_low", "pirm_high"))
            cells.append(f"{mean:.2f}" + ("" if pd.isna(low) else f" ({low:.2f} to {high:.2f})"))
        table.add_row(Text(row["label"]), *cells)
    return table


def confirmation_table(frame: pd.DataFrame, objectives: Sequence[Objective]) -> Table:
    """The search's scores next to those of fresh seeds; `frame` as `confirmation.confirmation` gives it."""
    measured = [objective.metric for objective in objectives if objective.metric not in COSTS]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("confirmed configuration", overflow="fold")
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("score", no_wrap=True)
    for column in ("search", "fresh seeds", "luck"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in frame.to_dict("records"):
        names = [row["label"], f"{row['n_search']} / {row['n_confirm']}"]
        for metric in measured:
            table.add_row(
                *map(Text, names), textwrap.fill(metric_label(metric), _HEAD), *confirmation_cells(row, metric)
            )
            # Name a configuration in the first of its rows only.
            names = ["", ""]
    return table


def hidden_line(count: int) -> list[str]:
    """A sentence on the `count` unconfirmed configurations that the table leaves out; no sentence for 0."""
    if not count:
        return []
    text = f"{counted(count, 'configuration')} of the search {'is' if count == 1 else 'are'}"
    return [
        f"{text} not shown: not confirmed on fresh seeds (teststrip frontier --search shows the search's own scores)"
    ]


def legend_lines(frame: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """Lines that explain the columns of `frontier_table` for the same frame and objectives."""
    timed = any(o.metric == "latency_ratio" and frame["high.latency_ratio"].notna().any() for o in objectives)
    sure = "chance" in frame.columns and frame["chance"].notna().any()
    return [
        "\N{PLUS-MINUS SIGN} is the half-width of a 95 % t interval of the mean: over seeds or, with a single seed,",
        "over the validation images, which does not say what another seed would give.",
        "lost: trials of the configuration that diverged, failed or were refused; the mean is over those that did not.",
        *([f"{CHANCE}."] if sure else []),
        *(["latency: in brackets its interval over the rounds of timing, which alternate with DPED."] if timed else []),
    ]


def endings_line(ledger: Ledger) -> str:
    """A sentence on how the trials ended; endings without a result (`LOST`) come with a rate and its interval."""
    endings = ledger.read("trials", ["ending"])["ending"]
    n, counts = len(endings), endings.value_counts()
    parts = []
    for ending in ENDINGS:
        count = int(counts.get(ending, 0))
        rate = f" ({_rate(count, n)})" if count and ending in LOST else ""
        parts.append(f"{count:,} {ending}{rate}")
    open_trials = not_ended(ledger)
    waiting = f"; {open_trials:,} started and not ended" if open_trials else ""
    return f"{counted(n, 'trial')} ended: {', '.join(parts)}{waiting}"


def estimate(row: dict[Hashable, Any], metric: str) -> str:
    """The cell of a metric: its mean and interval in a row of `configurations`."""
    mean, low, high = (row[f"{part}.{metric}"] for part in ("metric", "low", "high"))
    if pd.isna(mean):
        return "not finite"
    if metric in COSTS:
        ends = "" if pd.isna([low, high]).any() else f" ({metric_text(metric, low)} to {metric_text(metric, high)})"
        return metric_text(metric, mean) + ends
    half = "no interval" if pd.isna(high) else f"\N{PLUS-MINUS SIGN} {metric_text(metric, high - mean)}"
    return f"{metric_text(metric, mean)} {half}"


def over(row: dict[Hashable, Any]) -> str:
    """The cell that says what the interval of a row is over: seeds or images, and how many."""
    return f"{row['n_seeds']:.0f} seeds" if row["interval_over"] == "seeds" else f"{row['images']:.0f} images"


def _rate(count: int, n: int) -> str:
    percent = [100 * value for value in rate_interval(count, n)]
    return "{:.1f} %, 95 % interval {:.1f} to {:.1f} %".format(*percent)


def confirmation_cells(row: dict[Hashable, Any], metric: str) -> list[str]:
    """The cells of a metric in a row of `confirmation`: the search's score, the confirmed mean, the luck."""
    search, luck = row[f"search.{metric}"], row[f"luck.{metric}"]
    ends = [row[f"luck_{end}.{metric}"] for end in ("low", "high")]
    interval = "" if pd.isna(ends).any() else " ({} to {})".format(*(metric_text(metric, end) for end in ends))
    texts = ["none" if pd.isna(value) else metric_text(metric, value) for value in (search, luck)]
    return [texts[0], estimate(row, metric), texts[1] + interval]


def _lost(row: dict[Hashable, Any]) -> str:
    """The number of the configuration's trials without a result, which its mean leaves out; empty for none."""
    lost = sum(row[f"n_{ending}"] for ending in LOST)
    return str(lost) if lost else ""
