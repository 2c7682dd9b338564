"""The table of `analysis ablation`."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.ablation.answer import CONFIDENT
from analysis.ledger.design import design_of
from analysis.ledger.load import Ledger
from analysis.ledger.schema import DESIGNS_AROUND
from analysis.ledger.units import metric_label, p_text, signed_text


def ablation_table(frame: pd.DataFrame) -> Table:
    """The effects of one metric, from `answer.ablation`; significant ones are bold."""
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
        table.add_row(kind, Text(str(row["effect"])), *effect_cells(row, metric), style="bold" if row["sure"] else "")
    return table


def effect_cells(row: dict[Hashable, Any], metric: str) -> list[str]:
    """The cells of one effect: the change with its interval, the p value, pairs and lost pairs."""
    ends = (
        "no interval"
        if pd.isna(row["low"])
        else f"{signed_text(metric, row['low'])} to {signed_text(metric, row['high'])}"
    )
    mean = "unknown" if pd.isna(row["mean"]) else signed_text(metric, row["mean"])
    return [mean, ends, p_text(row["p_holm"]), str(row["pairs"]), str(row["lost"]) if row["lost"] else ""]


def legend_lines(ledger: Ledger, frame: pd.DataFrame) -> list[str]:
    """What the rows of `ablation_table` mean; `frame` holds the effects of all metrics."""
    design, asked = design_of(ledger), int((frame["metric"] == frame["metric"].iloc[0]).sum())
    against = "Each row: a configuration minus the full one, on the same seeds."
    between = "Each row: a change with all else equal, averaged over all other settings, on the same seeds."
    left_out = "Pairs with a trial that did not complete are left out, so effects do not include divergence."
    return [
        f"{against if design.kind in DESIGNS_AROUND else between} "
        f"Bars: 95 % t intervals over {frame['seeds'].iloc[0]} seeds.",
        f"Blue or bold: significant at {CONFIDENT:g} after Holm's correction for {asked} effects.",
        f"Design: {design.kind.replace('_', ' ')}. Data: {ledger.runs['run.data_spec'].iloc[-1]}.",
        *([left_out] if frame["lost"].any() else []),
    ]
