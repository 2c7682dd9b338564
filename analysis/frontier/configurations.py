"""Configurations with their intervals, and which of them no other one beats."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.core.groupby import DataFrameGroupBy

from analysis.ledger.costs import with_latency_intervals
from analysis.ledger.load import LOST, Ledger, LedgerError, Objective
from analysis.ledger.units import COSTS, short_names, value_text
from analysis.statistics.intervals import Floats, mean_interval_from_spread

_ID = "configuration"


def configurations(ledger: Ledger, search: bool = False) -> pd.DataFrame:
    """One row per configuration with a completed trial, sorted by its digest.

    Columns: `configuration`, `label` (the parameters that vary), `stage`, `n_seeds`, `n_stopped`, `n_diverged`,
    `n_failed`, `n_refused`, `steps`, `images`, `interval_over`, then for every metric M `metric.M` (mean over seeds)
    with `low.M` and `high.M` (95 % t interval), then `config.*`.

    Where a configuration was confirmed, its confirmation trials alone count: the search picked it for its luck too.
    With `search` it is the search's own trials that count, and confirmations are left out.
    With 2 seeds or more the interval is over "seeds"; with one it is over "images" and says how well the mean over the
    validation images is known, not how much another seed would change it. A mean with a value missing is missing.
    What a network costs has no such interval; that of `latency_ratio` is over the rounds of its timing (`costs`).
    Raises LedgerError where nothing completed.
    """
    trials = scored_trials(ledger, search)
    # Configurations by a number: of a million texts the grouping would take longer than the means.
    codes, digests = pd.factorize(trials[_ID], sort=True)
    grouped = trials.groupby(codes, sort=True)
    frame = pd.DataFrame({"stage": grouped["stage"].first()}).set_axis(pd.Index(digests, name=_ID))
    frame.insert(0, "label", labels(ledger.settings.reset_index()).reindex(frame.index))
    frame["n_seeds"] = grouped.size().to_numpy()
    told = ledger.read("trials", [_ID, "stage", "ending"])
    told = told[told["stage"] == "search"] if search else told
    for ending in ("stopped", *LOST):
        others = told.loc[told["ending"] == ending, _ID]
        frame[f"n_{ending}"] = others.value_counts().reindex(frame.index, fill_value=0).astype("int64")
    frame["steps"] = grouped["steps"].max().to_numpy()
    frame["images"] = grouped["images"].min().to_numpy()
    frame["interval_over"] = np.where(frame["n_seeds"] >= 2, "seeds", "images")
    measures = [
        _metric_columns(grouped, frame, column.removeprefix("metric.")) for column in _columns(trials, "metric.")
    ]
    config = ledger.settings[_columns(ledger.settings, "config.")].reindex(frame.index)
    result: pd.DataFrame = pd.concat([frame, *measures, config], axis="columns")
    return with_latency_intervals(result.reset_index(names=_ID), ledger.costs)


def scored_trials(ledger: Ledger, search: bool = False) -> pd.DataFrame:
    """The completed trials that speak for their configuration, each seed once: of the confirmation if there is one.

    With `search` those of the search alone. Their columns are what `configurations` needs of them. Raises LedgerError
    where nothing completed.
    """
    told = [_ID, "seed", "stage", "trial", "steps", "images", "time.ended", "metric.*", "spread.*"]
    completed = _completed(ledger, told)
    confirm = completed["stage"] == "confirm"
    passed_over = confirm if search else ~confirm & completed[_ID].isin(completed.loc[confirm, _ID])
    kept = completed[~passed_over] if passed_over.any() else completed
    order = kept[["time.ended", "trial"]].sort_values(["time.ended", "trial"]).index
    newest = ~kept[[_ID, "seed"]].reindex(order).duplicated(keep="last")
    return kept.loc[newest.index[newest]]


def has_confirmations(ledger: Ledger) -> bool:
    """Whether any configuration was trained to the end again, on a fresh seed."""
    trials = ledger.read("trials", ["stage", "ending"])
    return bool(((trials["stage"] == "confirm") & (trials["ending"] == "completed")).any())


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `frame` (as `configurations` gives it) that may be called results: the confirmed ones.

    Where there is none, all of them. Scores of the search beside confirmed ones would look better than they are: the
    best of many are partly lucky, and only the confirmed ones have paid for it.
    """
    fresh = frame["stage"] == "confirm"
    return frame[fresh].reset_index(drop=True) if fresh.any() else frame


def front(frame: pd.DataFrame, objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """Which rows no other row beats: no worse in every objective and better in one (moocore).

    Rows with equal values stand or fall together. A row with a value that is not finite is never on the front and beats
    nobody; `caveats` counts such rows.
    """
    values = frame[[objective.column for objective in objectives]].to_numpy(dtype=np.float64)
    mask: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    if mask.any():
        maximize = [objective.maximize for objective in objectives]
        mask[mask] = moocore.is_nondominated(values[mask], maximise=maximize, keep_weakly=True)
    return mask


def rank(frame: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """`frame` with `front` (bool) and `number` (1, 2, ... on the front, 0 elsewhere), the front first.

    Both parts run from the best to the worst in the first objective; ties are broken by the next objectives, then by
    the digest, so that the numbers depend on the ledger alone. Raises LedgerError where the front is empty.
    """
    mask = front(frame, objectives)
    if not mask.any():
        names = ", ".join(objective.column for objective in objectives)
        raise LedgerError(f"none of the {len(frame)} completed configurations has a finite value of {names}")
    order = ["front", *(objective.column for objective in objectives), _ID]
    ascending = [False, *(not objective.maximize for objective in objectives), True]
    result = frame.assign(front=mask).sort_values(order, ascending=ascending, ignore_index=True)
    return result.assign(number=np.where(result["front"], np.arange(1, len(result) + 1), 0))


def baseline(ledger: Ledger, metric: str) -> float | None:
    """What the untouched phone images score on the same validation images; None where no trial has reported it.

    A gain over them is zero for them by definition; what a network costs is nothing to hold against a picture.
    """
    if metric in COSTS:
        return None
    if metric == "psnr_gain_db":
        return 0.0
    column = f"baseline.{metric}"
    recorded = ledger.read("trials", [column]).dropna()
    return float(recorded[column].iloc[-1]) if recorded.size else None


def staircase(x: Floats, y: Floats, maximize_x: bool) -> tuple[Floats, Floats]:
    """The border of what a front of two objectives attains, from its lowest to its highest x.

    `x` and `y` (n,) are the front's points in any order; the result (2n - 1,) has the inner corners between them. Each
    corner is the worst value that two neighbors both attain, so the line never promises a point that none reaches.
    Which way y is better follows from the points: along a front the one gets better as the other gets worse.
    """
    order = np.lexsort((y, x))
    across, up = np.repeat(x[order], 2), np.repeat(y[order], 2)
    # Between two neighbors the region is bounded by the right one where x is maximized, else by the left one.
    return (across[:-1], up[1:]) if maximize_x else (across[1:], up[:-1])


def labels(trials: pd.DataFrame) -> pd.Series:
    """A short text for each configuration (the index): the parameters that vary between them (`varying_parameters`).

    `trials` are a ledger's, or one row of each configuration. A configuration that the sweep named starts with that
    name. Labels that would be equal get the digest's first digits.
    """
    unique = trials.drop_duplicates(_ID).set_index(_ID)
    names = varying_parameters(unique)
    rows = zip(*(unique[column] for column in names), strict=True) if names else ((),) * len(unique)
    texts = [" ".join(f"{n}={value_text(v)}" for n, v in zip(names.values(), row, strict=True) if pd.notna(v))
             for row in rows]  # fmt: skip
    if "label" in unique.columns:
        named = zip(unique["label"].fillna(""), texts, strict=True)
        texts = [": ".join(part for part in pair if part) for pair in named]
    times = Counter(texts)
    full = [text if text and times[text] == 1 else f"{text} {digest[:8]}".strip()
            for text, digest in zip(texts, unique.index, strict=True)]  # fmt: skip
    return pd.Series(full, index=unique.index, dtype="str")


def varying_parameters(trials: pd.DataFrame) -> dict[str, str]:
    """The columns `config.*` that differ between trials, in the ledger's order, each with its short name.

    A parameter goes by its last name where that is clear. The seed is none: it tells trials apart, not configurations.
    """
    config = [column for column in _columns(trials, "config.") if column != "config.seed"]
    found = [column for column in config if trials[column].nunique(dropna=False) > 1]
    names = short_names(column.removeprefix("config.") for column in found)
    return {column: names[column.removeprefix("config.")] for column in found}


def caveats(ledger: Ledger, frame: pd.DataFrame, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Sentences about whatever makes the rows of `frame` less comparable than a table suggests."""
    completed = _completed(ledger, [_ID, "seed", "stage", "run.code", "run.data"])
    found = []
    for column, meaning in (("run.code", "versions of the code"), ("run.data", "data sets")):
        count = completed[column].nunique(dropna=False) if column in completed.columns else 1
        if count > 1:
            found.append(f"the completed trials come from {count} {meaning} ({column}); compare within one of them")
    if frame["steps"].nunique() > 1:
        ends = f"{frame['steps'].min()} to {frame['steps'].max()}"
        found.append(f"the completed configurations were trained for different numbers of steps ({ends})")
    if frame["images"].nunique() > 1:
        found.append("the configurations were judged on different numbers of validation images (column images)")
    values = frame[[objective.column for objective in objectives]].to_numpy(dtype=np.float64)
    missing = int((~np.isfinite(values).all(axis=1)).sum())
    if missing:
        found.append(
            f"{missing} of {len(frame)} configurations have an objective that is not finite: never on the front"
        )
    repeated = int(completed.duplicated([_ID, "seed", "stage"]).sum())
    if repeated:
        found.append(f"{repeated} completed trials repeat a configuration and seed; the newest of each counts")
    found += _lost_confirmations(ledger)
    on = front(frame, objectives)
    single = int((on & (frame["n_seeds"] < 2)).sum())
    if single and not has_confirmations(ledger):
        found.append(
            f"{single} of {int(on.sum())} on the front stand on one seed; confirm them before calling them results"
        )
    return tuple(found)


# --- the steps ---------------------------------------------------------------------------------------------------


def _completed(ledger: Ledger, columns: Sequence[str]) -> pd.DataFrame:
    trials = ledger.read("trials", ["ending", *columns])
    completed = trials[trials["ending"] == "completed"]
    if completed.empty:
        told = ledger.read("trials", ["ending", "reason"])
        reasons = told["ending"] + told["reason"].where(told["reason"] == "", ": " + told["reason"])
        text, times = Counter(reasons).most_common(1)[0]
        raise LedgerError(
            f"none of the {len(trials)} trials of {ledger.path} completed, so there is nothing to compare; "
            f"the most frequent ending ({times}) is {text!r}"
        )
    return completed


def _lost_confirmations(ledger: Ledger) -> list[str]:
    """Configurations that the search thought well of, and that no fresh seed has borne out."""
    trials = ledger.read("trials", [_ID, "stage", "ending"])
    confirm = trials[trials["stage"] == "confirm"]
    count = int((~(confirm["ending"] == "completed").groupby(confirm[_ID]).any()).sum())
    if not count:
        return []
    one = "configuration was" if count == 1 else "configurations were"
    return [f"{count} {one} to be confirmed, and completed on none of the fresh seeds"]


def _metric_columns(
    grouped: "DataFrameGroupBy[Any, Any]",  # generic in the stubs only
    frame: pd.DataFrame,
    metric: str,
) -> pd.DataFrame:
    """Mean and interval of one metric for the configurations that index `frame`, in the order of `grouped`."""
    values = grouped[f"metric.{metric}"]
    mean = values.mean().set_axis(frame.index).where(values.count().to_numpy() == frame["n_seeds"])
    if metric in COSTS:
        ends = {f"{end}.{metric}": float("nan") for end in ("low", "high")}
        return pd.DataFrame({f"metric.{metric}": mean, **ends}, index=frame.index)
    spread, n = values.std(ddof=1).set_axis(frame.index), frame["n_seeds"]
    if f"spread.{metric}" in grouped.obj.columns:
        alone = frame["interval_over"] == "images"
        spread = spread.mask(alone, grouped[f"spread.{metric}"].first().set_axis(frame.index))
        n = n.mask(alone, frame["images"])
    low, high = mean_interval_from_spread(mean, spread, n)
    return pd.DataFrame({f"metric.{metric}": mean, f"low.{metric}": low, f"high.{metric}": high}, index=frame.index)


def _columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    return [column for column in frame.columns if column.startswith(prefix)]
