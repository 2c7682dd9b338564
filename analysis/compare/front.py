"""The best of two runs: the hypervolume of several objectives, or the best score of one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import moocore
import numpy as np
import pandas as pd

from analysis.compare.scores import difference_columns
from analysis.frontier.configurations import configurations, has_confirmations, scored_trials
from analysis.ledger.load import Ledger, Objective, contract_facts
from analysis.ledger.units import metric_label
from analysis.statistics.differences import NONE
from analysis.statistics.intervals import Floats

_ID = "configuration"


class Best(NamedTuple):
    """The best of each run, and B minus A with its 95 % interval (NaN: no interval; `why` says why).

    `what` names the quantity: a score in the unit of its metric, or a hypervolume as a share of the box from the worst
    to the best of both runs. `configurations_a` and `configurations_b` are the sizes of the sets; `method` and `n` are
    those of `seeds_difference`.
    """

    what: str
    configurations_a: int
    configurations_b: int
    a: float
    b: float
    mean: float
    low: float
    high: float
    p: float
    method: str
    n: int
    why: str


def best(a: Ledger, b: Ledger, objectives: Sequence[Objective]) -> Best:
    """The hypervolume of `objectives`, or the best score of a single one, in two runs with completed trials.

    A fair estimate must not be selected by the scores that it is made of. So there is an interval only where each run
    confirmed its configurations on fresh seeds or, for a hypervolume, followed a design, which selects nothing:

    - **several objectives**: the hypervolume of the set on each seed, with an interval over seeds. A configuration
      that did not complete on a seed adds nothing there. Noise inflates a hypervolume, in both runs, and more so the
      larger the set.
    - **one objective**: the fresh seeds of the configuration that the search ranked first. A design ranks by the same
      scores, so it has no interval.

    Either way the interval is about these configurations: another search would find others, and only several runs can
    tell how much that changes.
    """
    sides = [_tables(ledger, objectives) for ledger in (a, b)]
    size_a, size_b = (len(side[0]) for side in sides)
    chosen = [has_confirmations(ledger) for ledger in (a, b)]
    designed = [contract_facts(ledger).get("design") is not None for ledger in (a, b)]
    why = ""
    if len(objectives) == 1:
        what = metric_label(objectives[0].metric)
        if not all(chosen):
            why = "it was selected by the same scores; only a confirmation on fresh seeds has an interval"
        values = [_best_values(ledger, side[0], objectives[0]) for ledger, side in zip((a, b), sides, strict=True)]
    else:
        what = f"hypervolume ({', '.join(metric_label(own.metric) for own in objectives)})"
        if not all(fresh or design for fresh, design in zip(chosen, designed, strict=True)):
            why = "a search selected these configurations by score; only a confirmation on fresh seeds has an interval"
        values = hypervolumes(sides, objectives)
    if not (len(values[0]) and len(values[1])):
        nan = float("nan")
        return Best(what, size_a, size_b, nan, nan, nan, nan, nan, nan, NONE, 0, "no finite score")
    one, other = values
    found = difference_columns(one.to_numpy(), other.to_numpy(), one.index.to_numpy(), other.index.to_numpy())
    if not why and found["method"] == NONE:
        why = "with one seed in each run the spread is unknown"
    if why:
        found |= {"low": np.nan, "high": np.nan, "p": np.nan, "method": NONE}
    estimates = {name: found[name] for name in ("a", "b", "mean", "low", "high", "p", "method", "n")}
    return Best(what, size_a, size_b, **estimates, why=why)


def hypervolumes(sides: Sequence[Sequence[pd.DataFrame]], objectives: Sequence[Objective]) -> list[pd.Series]:
    """The hypervolume of each side's set on each of its seeds, as a share of the box from the worst to the best of all.

    A side has a table (configurations, seeds) per objective; NaN: did not complete.
    """
    losses = [[-own.sign * table for own, table in zip(objectives, side, strict=True)] for side in sides]
    ends = []
    for number in range(len(objectives)):
        values = np.concatenate([side[number].to_numpy().ravel() for side in losses])
        low, high = np.nanmin(values), np.nanmax(values)
        # If all values are equal, any width avoids a division by 0.
        ends.append((low, high if high > low else low + 1.0))
    return [_by_seed(side, ends) for side in losses]


# --- the steps ---------------------------------------------------------------------------------------------------


def _tables(ledger: Ledger, objectives: Sequence[Objective]) -> list[pd.DataFrame]:
    """For each objective the scores (configurations, seeds) of the run's results; NaN where a trial is missing."""
    trials = scored_trials(ledger)
    if has_confirmations(ledger):
        trials = trials[trials["stage"] == "confirm"]
    return [trials.pivot(index=_ID, columns="seed", values=own.column).astype("float64") for own in objectives]


def _best_values(ledger: Ledger, table: pd.DataFrame, objective: Objective) -> pd.Series:
    """The scores by seed of the configuration in `table` that the search ranked first."""
    search = configurations(ledger, search=True).set_index(_ID)[objective.column].reindex(table.index)
    ranking = search if search.notna().any() else table.mean(axis="columns")
    values = table.iloc[int(np.nanargmax(objective.sign * ranking.to_numpy(dtype=np.float64)))]
    return values.dropna()


def _by_seed(tables: Sequence[pd.DataFrame], ends: Sequence[tuple[float, float]]) -> pd.Series:
    found: dict[Any, float] = {}
    for seed in tables[0].columns:
        columns = [
            (table[seed].to_numpy() - low) / (high - low) for table, (low, high) in zip(tables, ends, strict=True)
        ]
        points: Floats = np.column_stack(columns)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points):
            # Losses are scaled to 0 (best) to 1 (worst), so the reference point is 1 in each.
            found[seed] = float(moocore.hypervolume(points, ref=[1.0] * len(tables)))
    return pd.Series(found, dtype="float64")
