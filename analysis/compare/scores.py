"""Differences in scores, per configuration and on average."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.compare.pairs import Pairing
from analysis.frontier.configurations import scored_trials
from analysis.ledger.load import Ledger, Objective
from analysis.ledger.schema import LOST
from analysis.ledger.units import COSTS
from analysis.statistics.differences import NONE, PAIRED, seeds_difference
from analysis.statistics.effects import holm, paired_effects
from analysis.statistics.intervals import Floats

CONFIDENT = 0.05
"""A difference whose corrected p value is below this is more than noise."""

OVER_CONFIGURATIONS = "over configurations"
# Fresh seeds first: a configuration that both runs confirmed is not compared by its search scores again.
STAGES = ("confirm", "search")
_ID = "configuration"
_NAMES = ("kind", "configuration", "configuration_b", "label", "stage", "method", "n", "n_a", "n_b", "lost_a", "lost_b",
          "a", "b", "mean", "low", "high", "p")  # fmt: skip


def score_differences(a: Ledger, b: Ledger, pairs: Pairing, objectives: Sequence[Objective]) -> pd.DataFrame:
    """B minus A for each objective but costs and each pair of configurations completed in both runs.

    Columns: `metric`, `kind` ("average" or "each"), `configuration` (A's digest), `configuration_b`, `label`, `stage`,
    `method` ("paired" by seed, "Welch", "one seed", "over configurations", "none"), `n` (pairs of values, or values),
    `n_a` and `n_b` (seeds of each side),
    `lost_a` and `lost_b` (diverged, failed or refused trials), `a` and `b` (means), `mean` (B minus A), `low`,
    `high` (95 % interval, in the metric's unit), `p`, `p_holm`, `sure` (p_holm below CONFIDENT).

    Like is compared with like: fresh seeds where both runs confirmed a configuration, else the search's scores where
    both have them. An "average" row, one per stage with at least two configurations, compares the mean over
    configurations seed by seed, using the configurations that completed on every seed. With a single seed, or fewer
    than two such configurations, its interval is over configurations instead, and says nothing about other seeds.

    p values are Holm's, in two families: the averages of all objectives, and the single configurations of all
    objectives. A configuration that was validated on different numbers of images is left out.
    """
    parts = []
    for objective in objectives:
        if objective.metric not in COSTS:
            rows = list(_rows(a, b, pairs, objective.column))
            parts.append(pd.DataFrame(rows, columns=list(_NAMES)).assign(metric=objective.metric))
    empty = pd.DataFrame(columns=["metric", *_NAMES])
    # Empty parts are left out, since pandas would let the types of their columns count.
    frame: pd.DataFrame = pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)
    frame["p_holm"] = np.nan
    for kind in ("average", "each"):
        rows_of = frame["kind"] == kind
        frame.loc[rows_of, "p_holm"] = holm(frame.loc[rows_of, "p"].astype("float64"))
    frame = frame.assign(sure=frame["p_holm"] < CONFIDENT)
    return frame[["metric", *(name for name in frame.columns if name != "metric")]]


# --- the steps ---------------------------------------------------------------------------------------------------


def _rows(a: Ledger, b: Ledger, pairs: Pairing, column: str) -> Iterator[dict[str, Any]]:
    """The rows of one objective: for each stage the average, then the configurations."""
    done: set[int] = set()
    for stage in STAGES:
        one, other = (_table(side, pairs.table[key], stage, column) for side, key in ((a, "a"), (b, "b")))
        both = [row for row in one.index.intersection(other.index) if row not in done]
        # Means over different numbers of validation images do not compare.
        both = [row for row in both if one.loc[row, "images"] == other.loc[row, "images"]]
        done |= set(both)
        if not both:
            continue
        lost = [_lost(side, pairs.table[key], stage) for side, key in ((a, "a"), (b, "b"))]
        values = [side.loc[both].drop(columns="images") for side in (one, other)]
        each = [_each(pairs, row, stage, *values) | _counts(row, lost) for row in both]
        if len(both) >= 2:
            totals = {f"lost_{side}": sum(row[f"lost_{side}"] for row in each) for side in "ab"}
            yield _average(stage, *values) | totals
        yield from each


def _table(ledger: Ledger, digests: pd.Series, stage: str, column: str) -> pd.DataFrame:
    """Finite scores of the paired configurations (index: number of the pair) by seed, and `images`."""
    trials = scored_trials(ledger, search=stage == "search")
    # With `search` there are no confirmations; without, a configuration that was not confirmed still has search scores.
    trials = trials[(trials["stage"] == "confirm") == (stage == "confirm")]
    numbers = trials[_ID].map(pd.Series(digests.index, index=digests.to_numpy()))
    known = numbers.notna() & np.isfinite(trials[column].astype("float64"))
    trials = trials[known].assign(pair=numbers[known].astype("int64"))
    table = trials.pivot(index="pair", columns="seed", values=column).astype("float64")
    return table.assign(images=trials.groupby("pair")["images"].min())


def _lost(ledger: Ledger, digests: pd.Series, stage: str) -> dict[int, int]:
    """The number of trials of each pair without a result in a stage."""
    trials = ledger.read("trials", [_ID, "stage", "ending"])
    trials = trials[trials["ending"].isin(LOST) & ((trials["stage"] == "confirm") == (stage == "confirm"))]
    counts = trials[_ID].value_counts()
    pairs = zip(digests.index.tolist(), digests.tolist(), strict=True)
    return {number: int(counts.get(digest, 0)) for number, digest in pairs}


def _counts(row: int, lost: Sequence[dict[int, int]]) -> dict[str, int]:
    return {"lost_a": lost[0][row], "lost_b": lost[1][row]}


def _each(pairs: Pairing, row: int, stage: str, one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    names = pairs.table.loc[row]
    (x, x_seeds), (y, y_seeds) = (_finite(side.loc[[row]]) for side in (one, other))
    said = {"kind": "each", "configuration": names["a"], "configuration_b": names["b"], "label": names["label"]}
    return said | {"stage": stage} | difference_columns(x, y, x_seeds, y_seeds)


def _average(stage: str, one: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """The mean over the configurations that completed on every seed of their run, compared seed by seed."""
    # Averaging other configurations on each seed would mix their differences into those between seeds.
    complete = (one.notna().all(axis="columns") & other.notna().all(axis="columns")).to_numpy()
    whole = [side[complete] for side in (one, other)]
    said = {"kind": "average", "configuration": "", "configuration_b": "", "stage": stage}
    if complete.sum() >= 2:
        seeds = [side.columns.to_numpy() for side in whole]
        found = difference_columns(*(side.mean(axis="index").to_numpy() for side in whole), *seeds)
        if found["method"] != NONE:
            return said | {"label": _mean_over(int(complete.sum()), len(one), stage)} | found
    said["label"] = _mean_over(len(one), len(one), stage)
    # The fallback: each configuration's own mean is one observation.
    means = [side.mean(axis="columns").to_numpy() for side in (one, other)]
    mean, low, high, p = (float(part[0]) for part in paired_effects(means[1] - means[0]))
    sides_of = {"n_a": whole[0].shape[1], "n_b": whole[1].shape[1], "a": means[0].mean(), "b": means[1].mean()}
    found = {"method": OVER_CONFIGURATIONS, "n": len(one), "mean": mean, "low": low, "high": high, "p": p}
    return said | sides_of | found


def _mean_over(count: int, of: int, stage: str) -> str:
    what = "confirmed configurations" if stage == "confirm" else "configurations"
    return f"mean over {count} {what}" if count == of else f"mean over {count} of {of} {what}"


def difference_columns(a: Floats, b: Floats, a_seeds: NDArray[Any], b_seeds: NDArray[Any]) -> dict[str, Any]:
    """`seeds_difference` as columns. If it is paired, the means `a` and `b` are over the paired seeds too."""
    found = seeds_difference(a, b, a_seeds, b_seeds)
    one, other = (a, b) if found.method != PAIRED else (a[np.isin(a_seeds, b_seeds)], b[np.isin(b_seeds, a_seeds)])
    return {"n_a": a.size, "n_b": b.size, "a": float(one.mean()), "b": float(other.mean())} | found._asdict()


def _finite(row: pd.DataFrame) -> tuple[Floats, NDArray[Any]]:
    """The values present in a row, and their seeds."""
    known = row.dropna(axis="columns")
    return known.to_numpy(dtype=np.float64)[0], known.columns.to_numpy()
