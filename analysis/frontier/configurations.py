"""Configurations with their intervals, and the Pareto front among them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.core.groupby import DataFrameGroupBy

from analysis.ledger.costs import with_latency_intervals
from analysis.ledger.load import Ledger, LedgerError, Objective, contract_facts
from analysis.ledger.schema import LOST
from analysis.ledger.units import COSTS, short_names, value_text
from analysis.statistics.intervals import Floats, mean_interval_from_spread

_ID = "configuration"


def configurations(ledger: Ledger, search: bool = False) -> pd.DataFrame:
    """One row per configuration with a completed trial, sorted by its digest.

    Columns: `configuration`, `label` (the parameters that vary), `stage`, `n_seeds`, `n_stopped`, `n_diverged`,
    `n_failed`, `n_refused`, `steps`, `images`, `interval_over`, then for every metric M `metric.M` (mean over seeds)
    with `low.M` and `high.M` (95 % t interval), then `config.*`.

    If a configuration was confirmed, only its confirmation trials count, since the search selected it partly for its
    luck. With `search` only the search's own trials count.
    With at least 2 seeds the interval is over "seeds". With one seed it is over "images": it says how well the mean
    over the validation images is known, not how much another seed would change it. A mean with a missing value is
    missing. Costs have no such interval; that of `latency_ratio` is over the rounds of its timing (`costs`).
    Raises LedgerError if nothing completed.
    """
    trials = scored_trials(ledger, search)
    # Group by integer codes: grouping a million strings would take longer than the means.
    codes, digests = pd.factorize(trials[_ID], sort=True)
    grouped = trials.groupby(codes, sort=True)
    # Codes and digests are both sorted, so group number i is digest i; the positional `to_numpy()` below rely on it.
    frame = pd.DataFrame({"stage": grouped["stage"].first()}).set_axis(pd.Index(digests, name=_ID))
    frame.insert(0, "label", settings_labels(ledger).reindex(frame.index))
    frame["n_seeds"] = grouped.size().to_numpy()
    told = ledger.read("trials", [_ID, "stage", "ending"])
    told = told[told["stage"] == "search"] if search else told
    for ending in ("stopped", *LOST):
        others = told.loc[told["ending"] == ending, _ID]
        frame[f"n_{ending}"] = others.value_counts().reindex(frame.index, fill_value=0).astype("int64")
    frame["steps"] = grouped["steps"].max().to_numpy()
    # All seeds have the same number unless the data changed, which `caveats` reports.
    frame["images"] = grouped["images"].min().to_numpy()
    frame["interval_over"] = np.where(frame["n_seeds"] >= 2, "seeds", "images")
    measures = [
        _metric_columns(grouped, frame, column.removeprefix("metric.")) for column in _columns(trials, "metric.")
    ]
    config = ledger.settings[_columns(ledger.settings, "config.")].reindex(frame.index)
    result: pd.DataFrame = pd.concat([frame, *measures, config], axis="columns")
    return with_latency_intervals(result.reset_index(names=_ID), ledger.costs)


def scored_trials(ledger: Ledger, search: bool = False) -> pd.DataFrame:
    """The completed trials that a configuration is scored by, one per seed: its confirmation trials if it has any.

    With `search` only trials of the search. The columns are those that `configurations` needs. Raises LedgerError if
    nothing completed.
    """
    told = [_ID, "seed", "stage", "trial", "steps", "images", "metric.*", "spread.*"]
    completed = _completed(ledger, told)
    confirm = completed["stage"] == "confirm"
    passed_over = confirm if search else ~confirm & completed[_ID].isin(completed.loc[confirm, _ID])
    kept = completed[~passed_over] if passed_over.any() else completed
    return kept[~kept[[_ID, "seed"]].duplicated(keep="last")]


def has_confirmations(ledger: Ledger) -> bool:
    """Whether any configuration was retrained to the end on a fresh seed."""
    trials = ledger.read("trials", ["stage", "ending"])
    return bool(((trials["stage"] == "confirm") & (trials["ending"] == "completed")).any())


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `frame` (from `configurations`) that may be called results: the confirmed ones, or all if none is.

    The search's own scores are not mixed with confirmed ones: the best of many are partly lucky (the winner's curse),
    so next to confirmed scores they would look better than they are.
    """
    fresh = frame["stage"] == "confirm"
    return frame[fresh].reset_index(drop=True) if fresh.any() else frame


def front(frame: pd.DataFrame, objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """A mask of the non-dominated rows (moocore): no other row is at least as good in every objective, better in one.

    Rows with equal values are all on the front or all off it. A row with a value that is not finite is never on the
    front and dominates nothing; `caveats` counts such rows.
    """
    values = frame[[objective.column for objective in objectives]].to_numpy(dtype=np.float64)
    mask: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    if mask.any():
        maximize = [objective.maximize for objective in objectives]
        # Rows without finite values have no place in the comparison, and stay False.
        mask[mask] = moocore.is_nondominated(values[mask], maximise=maximize, keep_weakly=True)
    return mask


def rank(frame: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """`frame` with `front` (bool) and `number` (1, 2, ... on the front, 0 elsewhere), the front first.

    Both parts are sorted by the first objective, best first; ties by the next objectives, then by the digest, so that
    the numbers depend on the ledger alone. Raises LedgerError if the front is empty.
    """
    mask = front(frame, objectives)
    if not mask.any():
        names = ", ".join(objective.column for objective in objectives)
        raise LedgerError(f"none of the {len(frame)} completed configurations has a finite value of {names}")
    order = ["front", *(objective.column for objective in objectives), _ID]
    ascending = [False, *(not objective.maximize for objective in objectives), True]
    result = frame.assign(front=mask).sort_values(order, ascending=ascending, ignore_index=True)
    return result.assign(number=np.where(result["front"], np.arange(1, len(result) + 1), 0))


def untouched(ledger: Ledger, metric: str) -> float | None:
    """What the untouched phone images score on the same validation images; None where no trial has reported it.

    Their gain over themselves is 0 by definition, and a picture has no parameters or latency to compare.
    """
    if metric in COSTS:
        return None
    if metric == "psnr_gain_db":
        return 0.0
    column = f"untouched.{metric}"
    recorded = ledger.read("trials", [column]).dropna()
    # The newest: all trials of one data set agree, but for rounding on different devices.
    return float(recorded[column].iloc[-1]) if recorded.size else None


def staircase(x: Floats, y: Floats, maximize_x: bool) -> tuple[Floats, Floats]:
    """The staircase of a front of two objectives, from its lowest to its highest x.

    `x` and `y` (n,) are the front's points in any order; the result (2n - 1,) has the inner corners between them. Each
    corner is the worst value that two neighbors both attain, so the line never promises a point that none reaches.
    Which way y is better follows from the points: along a front the one gets better as the other gets worse.
    """
    order = np.lexsort((y, x))
    across, up = np.repeat(x[order], 2), np.repeat(y[order], 2)
    # Between two neighbors the region is bounded by the right one where x is maximized, else by the left one.
    return (across[:-1], up[1:]) if maximize_x else (across[1:], up[:-1])


def settings_labels(ledger: Ledger) -> pd.Series:
    """The `labels` of a run's configurations; of a single one, what the sweep varies."""
    searched = contract_facts(ledger).get("space")
    return labels(ledger.settings.reset_index(), tuple(searched) if isinstance(searched, dict) else ())


def labels(trials: pd.DataFrame, searched: Sequence[str] = ()) -> pd.Series:
    """A short text for each configuration (the index): the parameters that vary between them (`varying_parameters`).

    `trials` are a ledger's, or one row of each configuration. A configuration that the sweep named starts with that
    name. Labels that would be equal get the digest's first digits. Where nothing varies, as with one configuration,
    the `searched` parameters are named.
    """
    unique = trials.drop_duplicates(_ID).set_index(_ID)
    there = {f"config.{name}": name for name in searched if f"config.{name}" in unique}
    short = short_names(there.values())
    names = varying_parameters(unique) or {column: short[name] for column, name in there.items()}
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

    The short name is the last part of the name if that is unique. The seed does not count: it distinguishes trials, not
    configurations.
    """
    config = [column for column in _columns(trials, "config.") if column != "config.seed"]
    found = [column for column in config if trials[column].nunique(dropna=False) > 1]
    names = short_names(column.removeprefix("config.") for column in found)
    return {column: names[column.removeprefix("config.")] for column in found}


def caveats(ledger: Ledger, frame: pd.DataFrame, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Sentences on everything that makes the rows of `frame` less comparable than the table suggests."""
    completed = _completed(ledger, [_ID, "seed", "stage", "run.code", "run.data"])
    found = []
    for column, meaning in (("run.code", "versions of the code"), ("run.data", "data sets")):
        count = completed[column].nunique(dropna=False) if column in completed.columns else 1
        if count > 1:
            found.append(
                f"the completed trials come from {count} {meaning} ({column}); compare only within one of them"
            )
    if frame["steps"].nunique() > 1:
        ends = f"{frame['steps'].min()} to {frame['steps'].max()}"
        found.append(f"the completed configurations were trained for different numbers of steps ({ends})")
    if frame["images"].nunique() > 1:
        found.append("the configurations were validated on different numbers of images (column images)")
    values = frame[[objective.column for objective in objectives]].to_numpy(dtype=np.float64)
    missing = int((~np.isfinite(values).all(axis=1)).sum())
    if missing:
        found.append(
            f"{missing} of {len(frame)} configurations have a non-finite objective, so they are never on the front"
        )
    repeated = int(completed.duplicated([_ID, "seed", "stage"]).sum())
    if repeated:
        found.append(f"{repeated} completed trials repeat a configuration and seed; the newest of each counts")
    found += _lost_confirmations(ledger)
    on = front(frame, objectives)
    single = int((on & (frame["n_seeds"] < 2)).sum())
    if single and not has_confirmations(ledger):
        found.append(
            f"{single} of {int(on.sum())} on the front rest on a single seed; confirm them before calling them results"
        )
    return tuple(found)


# --- the steps ---------------------------------------------------------------------------------------------------


def _completed(ledger: Ledger, columns: Sequence[str]) -> pd.DataFrame:
    trials = ledger.read("trials", ["ending", *columns])
    completed = trials[trials["ending"] == "completed"]
    if completed.empty:
        told = ledger.read("trials", ["ending", "reason"])
        # A reason may be empty, and then needs no colon.
        reasons = told["ending"] + told["reason"].where(told["reason"] == "", ": " + told["reason"])
        text, times = Counter(reasons).most_common(1)[0]
        raise LedgerError(
            f"none of the {len(trials)} trials of {ledger.path} completed, so there is nothing to compare; "
            f"the most frequent ending ({times}) is {text!r}"
        )
    return completed


def _lost_confirmations(ledger: Ledger) -> list[str]:
    """A sentence on configurations that should have been confirmed but completed on no fresh seed."""
    trials = ledger.read("trials", [_ID, "stage", "ending"])
    confirm = trials[trials["stage"] == "confirm"]
    count = int((~(confirm["ending"] == "completed").groupby(confirm[_ID]).any()).sum())
    if not count:
        return []
    one = "configuration was" if count == 1 else "configurations were"
    return [f"{count} {one} to be confirmed but completed on none of the fresh seeds"]


def _metric_columns(
    grouped: "DataFrameGroupBy[Any, Any]",  # generic in the stubs only
    frame: pd.DataFrame,
    metric: str,
) -> pd.DataFrame:
    """Mean and interval of one metric for the configurations that index `frame`, in the order of `grouped`."""
    values = grouped[f"metric.{metric}"]
    # pandas skips NaN; a mean over some of the seeds would pass for one over all.
    mean = values.mean().set_axis(frame.index).where(values.count().to_numpy() == frame["n_seeds"])
    if metric in COSTS:
        ends = {f"{end}.{metric}": float("nan") for end in ("low", "high")}
        return pd.DataFrame({f"metric.{metric}": mean, **ends}, index=frame.index)
    spread, n = values.std(ddof=1).set_axis(frame.index), frame["n_seeds"]
    if f"spread.{metric}" in grouped.obj.columns:
        alone = frame["interval_over"] == "images"
        # `first` is the value here: these groups have a single row.
        spread = spread.mask(alone, grouped[f"spread.{metric}"].first().set_axis(frame.index))
        n = n.mask(alone, frame["images"])
    low, high = mean_interval_from_spread(mean, spread, n)
    return pd.DataFrame({f"metric.{metric}": mean, f"low.{metric}": low, f"high.{metric}": high}, index=frame.index)


def _columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    return [column for column in frame.columns if column.startswith(prefix)]
