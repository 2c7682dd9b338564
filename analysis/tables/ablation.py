"""The table of `analysis ablation`."""

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.units import metric_label, metric_text


def ablation_table(frame: pd.DataFrame) -> Table:
    """The effects of one metric, of `frame` as `ablation.ablation` gives it; sure ones are bold."""
    metric = str(frame["metric"].iloc[0])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind", no_wrap=True)
    table.add_column(f"change of {metric_label(metric)} with", overflow="fold")
    for name in ("change", "95 % interval", "p (Holm)", "pairs", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for row in frame.to_dict("records"):
        kind = "" if row["kind"] == before else str(row["kind"])
        before = row["kind"]
        ends = "no interval" if pd.isna(row["low"]) else f"{_sign(metric, row['low'])} to {_sign(metric, row['high'])}"
        mean = "unknown" if pd.isna(row["mean"]) else _sign(metric, row["mean"])
        p = "" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.3f}"
        counts = (str(row["pairs"]), str(row["lost"]) if row["lost"] else "")
        table.add_row(kind, Text(str(row["effect"])), mean, ends, p, *counts, style="bold" if row["sure"] else "")
    return table


def _sign(metric: str, value: float) -> str:
    return f"{'+' if value >= 0 else ''}{metric_text(metric, value)}"
