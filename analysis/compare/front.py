"""The best of two runs beside each other: the hypervolume of several objectives, or the best score of one."""

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
    """What two runs reach, and B less A with its 95 % interval (NaN: none, and `why`).

    `what` says of what, in the unit of the metric, or as a share of the box from the worst to the best of both runs.
    `configurations_a` and `_b` are the sizes of the sets, `method` and `n` are as in `seeds_difference`.
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
    """The hypervolume of `objectives`, or the best score of one, in both runs; each completed at least one trial.

    Honest is only what was not chosen by the scores that it is judged by. So there is an interval where each run
    confirmed two configurations or more on two fresh seeds or more, or followed a design, which chooses nothing:

    - **several objectives**: the set's hypervolume on each seed; the interval is over seeds. What did not complete on
      a seed adds nothing to it. One seed's noise makes a hypervolume larger, in both runs, and more so a larger set's.
    - **one objective**: the configuration that the search ranked first, on its fresh seeds. A design ranks by the same
      scores, so it has none.

    Either way it is of these configurations: another search would find others, which takes several runs to know.
    """
    sides = [_tables(ledger, objectives) for ledger in (a, b)]
    size_a, size_b = (len(side[0]) for side in sides)
    chosen = [has_confirmations(ledger) for ledger in (a, b)]
    designed = [contract_facts(ledger).get("design", "None") != "None" for ledger in (a, b)]
    why = ""
    if len(objectives) == 1:
        what = metric_label(objectives[0].metric)
        if not all(chosen):
            why = "chosen by the scores that it is judged by; only a confirmation on fresh seeds has an interval"
        values = [_best_values(ledger, side[0], objectives[0]) for ledger, side in zip((a, b), sides, strict=True)]
    else:
        what = f"hypervolume ({', '.join(metric_label(own.metric) for own in objectives)})"
        if not all(fresh or design for fresh, design in zip(chosen, designed, strict=True)):
            why = (
                "a search chose its configurations by these scores; only a confirmation on fresh seeds has an interval"
            )
        values = hypervolumes(sides, objectives)
    if not (len(values[0]) and len(values[1])):
        nan = float("nan")
        return Best(what, size_a, size_b, nan, nan, nan, nan, nan, nan, NONE, 0, "no finite score")
    one, other = values
    found = difference_columns(one.to_numpy(), other.to_numpy(), one.index.to_numpy(), other.index.to_numpy())
    if not why and found["method"] == NONE:
        why = "one seed in each run says nothing of the spread"
    if why:
        found |= {"low": np.nan, "high": np.nan, "p": np.nan, "method": NONE}
    estimates = {name: found[name] for name in ("a", "b", "mean", "low", "high", "p", "method", "n")}
    return Best(what, size_a, size_b, **estimates, why=why)


def hypervolumes(sides: Sequence[Sequence[pd.DataFrame]], objectives: Sequence[Objective]) -> list[pd.Series]:
    """The hypervolume of each side's set on each of its seeds, as a share of the box from the worst to the best of all.

    A side has a table (configurations, seeds) for each objective; NaN: did not complete.
    """
    losses = [[-own.sign * table for own, table in zip(objectives, side, strict=True)] for side in sides]
    ends = []
    for number in range(len(objectives)):
        values = np.concatenate([side[number].to_numpy().ravel() for side in losses])
        low, high = np.nanmin(values), np.nanmax(values)
        ends.append((low, high if high > low else low + 1.0))
    return [_by_seed(side, ends) for side in losses]


# --- the steps ---------------------------------------------------------------------------------------------------


def _tables(ledger: Ledger, objectives: Sequence[Objective]) -> list[pd.DataFrame]:
    """For each objective the scores (configurations, seeds) of what a run may call results, NaN where there is none."""
    trials = scored_trials(ledger)
    if has_confirmations(ledger):
        trials = trials[trials["stage"] == "confirm"]
    return [trials.pivot(index=_ID, columns="seed", values=own.column).astype("float64") for own in objectives]


def _best_values(ledger: Ledger, table: pd.DataFrame, objective: Objective) -> pd.Series:
    """The scores by seed of the configuration that the search ranked first, of those in `table`."""
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
            found[seed] = float(moocore.hypervolume(points, ref=[1.0] * len(tables)))
    return pd.Series(found, dtype="float64")
