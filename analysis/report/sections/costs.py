"""The costs of the networks on the devices where they were timed."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.ledger.costs import conditions_text
from analysis.ledger.schema import CONDITIONS, LATENCY_RATIO
from analysis.ledger.units import metric_text
from analysis.report.blocks import Block, Content, Table
from analysis.report.reading import Reading


def costs(reading: Reading) -> Content:
    """A table of timed networks per set of conditions."""
    frame = reading.ledger.costs
    if frame.empty:
        return Content("This sweep does not measure latency.")
    lead = (
        "Timed before training, alternating with DPED's network, while nothing else of the sweep was running. "
        "Intervals are over the rounds of timing."
    )
    blocks: list[Block] = []
    names = _varying(frame)
    # A table each, since latencies under different conditions do not compare. A condition may be null.
    for _, group in frame.groupby(list(CONDITIONS), dropna=False, sort=False):
        rows = [_row(row, names) for row in group.sort_values([LATENCY_RATIO[0], "network"]).to_dict("records")]
        columns = [
            "network",
            "parameters",
            "GMACs",
            "latency (ms)",
            "\N{MULTIPLICATION SIGN} DPED",
            "95 % interval",
            "remark",
        ]
        blocks.append(Table(columns, rows, range(1, 6), conditions_text(group.to_dict("records")[0])))
    return Content(lead, blocks)


def _varying(frame: pd.DataFrame) -> list[str]:
    leaves = [column for column in frame.columns if column.startswith("config.net.")]
    return [column for column in leaves if frame[column].nunique(dropna=False) > 1]


def _row(row: dict[Hashable, Any], names: list[str]) -> list[str]:
    leaves = {name.rsplit(".", 1)[-1]: row[name] for name in names if pd.notna(row[name])}
    label = " ".join(f"{name}={_leaf(value)}" for name, value in leaves.items()) or str(row["network"])
    ratio, low, high = (row[name] for name in LATENCY_RATIO)
    return [
        label,
        _cost(row, "parameters"),
        _cost(row, "macs"),
        _cost(row, "latency_ms"),
        "" if pd.isna(ratio) else metric_text("latency_ratio", ratio),
        "" if pd.isna(low) else f"{metric_text('latency_ratio', low)} to {metric_text('latency_ratio', high)}",
        str(row["cost.failure"] or row.get("cost.contention") or ""),
    ]


def _cost(row: dict[Hashable, Any], metric: str) -> str:
    value = row.get(f"cost.{metric}")
    return "" if value is None or pd.isna(value) else metric_text(metric, value)


def _leaf(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
