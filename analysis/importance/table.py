"""The table of importances."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text


def importance_table(frame: pd.DataFrame) -> Table:
    """The parameters of `frame` (as `importance.importance` gives it) for one objective; bold: beyond chance."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("parameter", overflow="fold")
    table.add_column("where", overflow="fold")
    for name in ("n", "fANOVA", "p", "PED-ANOVA", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.to_dict("records"):
        cells = [*importance_cells(row, "fanova"), *importance_cells(row, "ped_anova")]
        names = (Text(row["parameter"]), Text(row["where"] or "everywhere"))
        table.add_row(*names, str(row["n"]), *cells, style="bold" if row["told"] else "")
    return table


def legend_lines(frame: pd.DataFrame, best_share: float, resamples: int) -> list[str]:
    """What the columns mean, for the rows of one objective."""
    free = frame[frame["where"] == ""]
    explained = max(0.0, float(frame["explained"].iloc[0]))
    doubt = ": too little\nto trust any importance that is not bold" if explained < 0.1 else ""
    fanova, ped = (f"{free[f'{kind}_chance'].max():.2f}" for kind in ("fanova", "ped_anova"))
    return [
        "fANOVA: the share of the variance over the space that a parameter explains alone (a conditional one: over the",
        f"part where it is active). PED-ANOVA: its share in what distinguishes the best {best_share:.0%}.",
        f"In brackets: 95 % intervals over configurations ({resamples} bootstrap resamples).",
        f"p: how often permuted scores ({resamples} permutations) make any parameter of any objective stand out",
        "as much, by either method; bold: one of the two is below 0.05.",
        f"Chance alone gets beyond {fanova} (fANOVA) or {ped} (PED-ANOVA) at most one time in twenty.",
        f"A random forest explains {explained:.0%} of the variance of unseen configurations{doubt}.",
    ]


def importance_cells(row: dict[Hashable, Any], kind: str) -> list[str]:
    """An importance of `kind` ("fanova" or "ped_anova") with its interval, and its p value, as cells say them."""
    if pd.isna(row[kind]):
        return ["too few", ""]
    ends = f" ({row[f'{kind}_low']:.2f} to {row[f'{kind}_high']:.2f})"
    p = row[f"{kind}_p"]
    return [f"{row[kind]:.2f}{ends}", f"{p:.3f}" if p < 0.1 else f"{p:.2f}"]  # 1 / 21 is below 0.05, and not 0.05
