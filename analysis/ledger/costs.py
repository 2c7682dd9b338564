"""Match the ledger's `costs` rows with the trained networks, by the leaves of the network's configuration."""

import json
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from analysis.ledger.schema import CONDITIONS, LATENCY_RATIO
from analysis.ledger.units import counted

_NET = "config.net."


def network_keys(frame: pd.DataFrame) -> pd.Series:
    """A string for the network of each row, equal for two rows if and only if all their `config.net.*` leaves are.

    A leaf that a family lacks is null, or has no column if no network has it; both count as the same. So do 3 and 3.0,
    since an integer column with a null in it comes back as floats.
    """
    leaves = sorted(column for column in frame.columns if column.startswith(_NET))
    texts = [_text(row) for row in frame[leaves].to_dict("records")]
    return pd.Series(texts, index=frame.index, dtype="object")


def with_latency_intervals(frame: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """`frame` (configurations of the ledger) with the interval of latency_ratio added where `costs` has one.

    A network may have been timed under several conditions. The interval comes from the row whose ratio equals the
    metric, so that it always belongs to the number it is shown with.
    """
    if "metric.latency_ratio" not in frame.columns or costs.empty:
        return frame
    timed = costs.assign(key=network_keys(costs))[["key", *LATENCY_RATIO]]
    pairs = frame.assign(key=network_keys(frame), row=frame.index)[["key", "row", "metric.latency_ratio"]]
    pairs = pairs.merge(timed, on="key")
    same = np.isclose(pairs["metric.latency_ratio"], pairs[LATENCY_RATIO[0]], rtol=1e-9, atol=0)
    found = pairs[same].drop_duplicates("row").set_index("row").reindex(frame.index)
    ends = {"low.latency_ratio": found[LATENCY_RATIO[1]], "high.latency_ratio": found[LATENCY_RATIO[2]]}
    return frame.assign(**ends)


def comparable(costs: pd.DataFrame, keys: pd.Series) -> pd.DataFrame:
    """The rows of `costs` for the networks `keys` (from `network_keys`) under one set of conditions, indexed by key.

    The conditions are the ones that cover the most of these networks; ties go to the largest picture, then to the last
    measured. Rows without a ratio (failed measurements) do not count. Empty if no row is left.
    """
    known = costs.assign(key=network_keys(costs))
    known = known[known["key"].isin(keys) & np.isfinite(known[LATENCY_RATIO[0]].astype("float64"))]
    if known.empty:
        return known.set_index("key")
    # By default pandas would drop the rows in which a condition is null.
    groups = [group for _, group in known.groupby(list(CONDITIONS), dropna=False, sort=False)]
    # `max` returns the first of equals, here the one measured last.
    best = max(reversed(groups), key=lambda group: (group["key"].nunique(), _pixels(group)))
    return best.drop_duplicates("key", keep="last").set_index("key")


def other_conditions(costs: pd.DataFrame) -> int:
    """The number of further sets of conditions under which `costs` were timed, beyond the first."""
    return max(0, len(costs[list(CONDITIONS)].drop_duplicates()) - 1)


def conditions_text(row: dict[Hashable, Any]) -> str:
    """The timing conditions of a row of `costs`, in words."""
    name, threads, compiled = row["cost.device_name"], row["cost.threads"], row["cost.compiled"]
    parts = [
        str(row["cost.device"]) + (f" ({name})" if pd.notna(name) and name else ""),
        f"{row['cost.width_px']:.0f} x {row['cost.height_px']:.0f} px",
        *([counted(int(threads), "thread")] if pd.notna(threads) else []),
        *(str(row[name]) for name in ("cost.dtype", "cost.memory_format") if pd.notna(row[name])),
        *(["compiled"] if pd.notna(compiled) and compiled else []),
    ]
    return ", ".join(parts)


# --- the steps ---------------------------------------------------------------------------------------------------


def _text(row: dict[Hashable, Any]) -> str:
    return json.dumps({str(name): _leaf(value) for name, value in row.items() if pd.notna(value)}, sort_keys=True)


def _leaf(value: Any) -> str:
    # In Python a bool is an int, and True would become 1.0.
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    return repr(float(value)) if number else str(value)


def _pixels(group: pd.DataFrame) -> float:
    return float(group["cost.width_px"].iloc[0]) * float(group["cost.height_px"].iloc[0])
