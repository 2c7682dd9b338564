"""The table of `analysis images`."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.ledger.samples import picture_name


def images_table(summary: pd.DataFrame) -> Table:
    """Scores over the validation pictures, a row per network, from `numbers.picture_summary`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("network", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for column in ("PSNR (dB)", "worst", "best", "better than input", "L1", "colors"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        name, label, *cells = picture_cells(row)
        table.add_row(name, Text(label), *cells)
    return table


def picture_cells(row: dict[Hashable, Any]) -> list[str]:
    """A row of `images_table` as texts."""
    seed = "" if pd.isna(row["seed"]) else f" (seed {row['seed']})"
    better = "" if pd.isna(row["better"]) else f"{row['better']} of {row['images']}"
    cases = [f"{row[f'{case}_db']:.2f} ({picture_name(row[case]).split()[-1]})" for case in ("worst", "best")]
    errors = ["none" if pd.isna(row[name]) else f"{row[name]:.1f}" for name in ("l1", "color_distance")]
    return [row["name"], row["label"] + seed, f"{row['psnr_db']:.2f}", *cases, better, *errors]
