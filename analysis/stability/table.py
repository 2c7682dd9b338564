"""The tables of `analysis stability`."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from analysis.ledger.units import metric_text
from analysis.screen import bare_table
from analysis.stability.curves import DIAGNOSTICS


def divergence_table(frame: pd.DataFrame) -> Table:
    """Rates by factor and level; `frame` as `answer.divergence` gives it."""
    table = bare_table("factor", "level", right=("trials", "diverged", "rate", "95 % interval"))
    before = None
    for row in frame.to_dict("records"):
        name = "" if row["factor"] == before else str(row["factor"])
        before = row["factor"]
        ends = f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
        cells = (str(row["n"]), str(row["diverged"]), f"{100 * row['rate']:.1f} %", ends)
        table.add_row(Text(name), Text(str(row["level"])), *cells)
    return table


def spreads_table(frame: pd.DataFrame, metric: str) -> Table:
    """Spread over seeds and interquartile means; `frame` as `answer.spreads` gives it."""
    names = ("configurations", "seeds", "diverged", "sd over seeds", "interquartile mean")
    table = bare_table("level", right=names)
    for row in frame.to_dict("records"):
        counts = [str(row[name]) for name in ("configurations", "seeds", "lost")]
        estimates = [spread_cell(row, name, metric) for name in ("sd", "iqm")]
        table.add_row(Text(str(row["level"])), *counts, *estimates)
    return table


def diagnostics_table(frame: pd.DataFrame) -> Table:
    """Medians of the diagnostics of curves; `frame` as `curves.diagnostics_by` gives it."""
    table = bare_table("curves of", right=("trials", *(name.replace("_", " ") for name in DIAGNOSTICS)))
    for row in frame.to_dict("records"):
        values = ["" if pd.isna(row[name]) else f"{row[name]:.3g}" for name in DIAGNOSTICS]
        table.add_row(Text(str(row["line"])), str(row["n"]), *values)
    return table


def spread_cell(row: dict[Hashable, Any], name: str, metric: str) -> str:
    """The cell of a row's standard deviation ("sd") or interquartile mean ("iqm"), with its interval."""
    value, low, high = (row[part] for part in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(value):
        return "unknown"
    if np.isinf(value):
        return "none: over a quarter diverged"
    ends = "no interval" if pd.isna(low) else f"{_end(metric, low)} to {_end(metric, high)}"
    return f"{metric_text(metric, value)} ({ends})"


def _end(metric: str, value: float) -> str:
    return "none" if np.isinf(value) else metric_text(metric, value)
