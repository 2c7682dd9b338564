"""The table of `analysis compare-paper`."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from analysis.frontier.table import estimate, over
from analysis.ledger.units import metric_text


def comparison_table(frame: pd.DataFrame) -> Table:
    """The networks of a paper, in its order, from `answer.compare_networks`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("network", no_wrap=True)
    for column in ("time: paper", "ours", "MS-SSIM: paper", "ours"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("\N{PLUS-MINUS SIGN} over", "front"):
        table.add_column(column, no_wrap=True)
    for row in frame.to_dict("records"):
        theirs = [metric_text("latency_ratio", row["paper.relative_time"]), f"{row['paper.ms_ssim']:.4f}"]
        sides = ", ".join(side for side in ("paper", "ours") if row[f"{side}.front"])
        time, score, over = _ours(row)
        table.add_row(row["network"], theirs[0], time, theirs[1], score, over, sides)
    return table


def _ours(row: dict[Hashable, Any]) -> list[str]:
    """Time, MS-SSIM and what its interval is over, in the words of `frontier_table`."""
    names = (("latency_ratio", "relative_time"), ("ms_ssim", "ms_ssim"))
    parts = (("metric", "ours"), ("low", "ours_low"), ("high", "ours_high"))
    known: dict[Hashable, Any] = {f"{part}.{m}": row[f"{side}.{name}"] for m, name in names for part, side in parts}
    time = "none" if pd.isna(row["ours.relative_time"]) else estimate(known, "latency_ratio")
    return [time, estimate(known, "ms_ssim"), over(row)] if row["candidates"] else [time, "none", ""]
