"""Confirmations: how the search scored its best configurations, and how they score on fresh seeds.

The best of many scores owes part of its rank to lucky seeds (the winner's curse), so on average a search's best score
is too good. Training those configurations again on seeds that the search never used shows by how much.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.frontier.configurations import configurations, has_confirmations
from analysis.ledger.load import Ledger, Objective
from analysis.ledger.units import COSTS, counted, metric_label, metric_text
from analysis.statistics.intervals import mean_interval

_ID = "configuration"


class Luck(NamedTuple):
    """By how much the search's scores were too good, on average over `configurations`, with a 95 % t interval.

    In the unit of the metric; positive if the search was too optimistic. `low` and `high` are NaN if there is only one
    seed; all three are NaN if there is nothing to compare.
    """

    mean: float
    low: float
    high: float
    configurations: int
    seeds: int


def confirmation(ledger: Ledger, objectives: Sequence[Objective]) -> pd.DataFrame:
    """One row per configuration with a completed confirmation, the best in the first objective first.

    Columns: `configuration`, `label`, `n_search` and `n_confirm` (completed seeds), then for every objective M
    `search.M` (the search's score: the mean over its seeds), `metric.M` with `low.M` and `high.M` (mean over fresh
    seeds with its 95 % t interval; NaN with one seed), `luck.M` with `luck_low.M` and `luck_high.M`.

    Luck is the search's score minus the confirmed mean, signed so that positive means the search was too optimistic.
    The search's score is a known number, not an estimate: the configuration was selected by it. So the interval of the
    luck comes from the confirmed mean alone; 95 % of such intervals contain the distance from that score to the
    configuration's true mean over seeds. (A Welch interval would ask whether two means differ, and needs a spread that
    a single search seed does not have.) A luck far from 0 does not indicate an error: one seed is never the average.
    """
    fresh = configurations(ledger)
    fresh = fresh[fresh["stage"] == "confirm"].set_index(_ID)
    search = configurations(ledger, search=True).set_index(_ID).reindex(fresh.index)
    frame = pd.DataFrame({"label": fresh["label"]})
    # 0 if the search completed no trial of the configuration.
    frame["n_search"] = search["n_seeds"].fillna(0).astype("int64")
    frame["n_confirm"] = fresh["n_seeds"]
    for objective in objectives:
        frame = frame.join(_objective_columns(objective, search[objective.column], fresh))
    first = objectives[0]
    return frame.reset_index().sort_values([first.column, _ID], ascending=[not first.maximize, True], ignore_index=True)


def mean_luck(ledger: Ledger, objective: Objective) -> Luck:
    """The mean luck of the confirmed configurations in one objective.

    Averaged over the configurations for each fresh seed; the interval is over those averages. Configurations share
    their seeds, so their lucks are not independent of each other, but the seeds are. Seeds on which any confirmed
    configuration did not complete are left out. The result holds for the confirmed configurations only: those that the
    search did not select have a different luck.
    """
    scores = configurations(ledger, search=True).set_index(_ID)[objective.column]
    trials = ledger.read("trials", [_ID, "seed", "stage", "ending", objective.column])
    fresh = trials[(trials["stage"] == "confirm") & (trials["ending"] == "completed")]
    luck = objective.sign * (fresh[_ID].map(scores).astype("float64") - fresh[objective.column])
    table = luck.where(np.isfinite(luck)).groupby([fresh[_ID], fresh["seed"]]).last().unstack()
    # Only seeds that every configuration completed: otherwise the average would change with who is missing.
    table = table.dropna(axis="index", how="all").dropna(axis="columns")
    means = table.mean(axis="index").to_numpy(dtype=np.float64)
    if means.size < 2:
        mean = float(means[0]) if means.size else float("nan")
        return Luck(mean, float("nan"), float("nan"), len(table), means.size)
    return Luck(*mean_interval(means), len(table), means.size)


def lucks(ledger: Ledger, objectives: Sequence[Objective]) -> dict[str, Luck]:
    """The mean luck by metric, for objectives that are not costs; empty if nothing was confirmed."""
    if not has_confirmations(ledger):
        return {}
    found = {own.metric: mean_luck(ledger, own) for own in objectives if own.metric not in COSTS}
    return {metric: luck for metric, luck in found.items() if luck.configurations}


def luck_lines(ledger: Ledger, objectives: Sequence[Objective]) -> list[str]:
    """A sentence for each of `lucks`."""
    return [_sentence(metric, luck) for metric, luck in lucks(ledger, objectives).items()]


# --- the steps ---------------------------------------------------------------------------------------------------


def _objective_columns(objective: Objective, search: pd.Series, fresh: pd.DataFrame) -> pd.DataFrame:
    """The columns of one objective; `search` and `fresh` have the same index."""
    metric, sign = objective.metric, objective.sign
    over_seeds = fresh["interval_over"] == "seeds"
    mean = fresh[objective.column]
    # An interval over the images of one seed says nothing about other seeds, which luck is about.
    low, high = (fresh[f"{end}.{metric}"].where(over_seeds) for end in ("low", "high"))
    # Luck falls as the confirmed mean gets better, so the mean's better end is the luck's lower end.
    worst, best = (low, high) if objective.maximize else (high, low)
    return pd.DataFrame(
        {
            f"search.{metric}": search,
            f"metric.{metric}": mean,
            f"low.{metric}": low,
            f"high.{metric}": high,
            f"luck.{metric}": sign * (search - mean),
            f"luck_low.{metric}": sign * (search - best),
            f"luck_high.{metric}": sign * (search - worst),
        }
    )


def _sentence(metric: str, luck: Luck) -> str:
    of, seeds = counted(luck.configurations, "configuration"), counted(luck.seeds, "seed")
    if not np.isfinite(luck.mean):
        return f"luck in {metric_label(metric)}: unknown, no fresh seed completed for all of {of}"
    # Said as a positive size with a word, so a negative luck swaps and negates its ends.
    low, high, word = (luck.low, luck.high, "better") if luck.mean >= 0 else (-luck.high, -luck.low, "worse")
    ends = f"95 % interval {metric_text(metric, low)} to {metric_text(metric, high)}"
    ends = ends if np.isfinite(low) else "no interval"
    size = f"{metric_text(metric, abs(luck.mean))} {word}"
    return f"luck in {metric_label(metric)}: the search's scores were {size} than fresh seeds' ({ends}, {of}, {seeds})"
