"""The audit of early stopping: whether the rungs ranked trials as the end would have, and what stopping lost and saved.

A coin spares a share of the trials that a rung would have stopped; they are trained to the end. Together with those
that were let through they show what the scores at a rung are worth. They are not one population, though: of the trials
that would have been stopped only that share is seen, of the others every one. So a spared trial stands for 1 / share
trials, itself and those that were stopped (weights by inverse probability: Horvitz and Thompson, "A Generalization of
Sampling Without Replacement From a Finite Universe", JASA 1952). Without the weights the stopped ones would hardly
count, and the correlation would be that among the good trials alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.load import Ledger, LedgerError, Objective, contract
from analysis.statistics.intervals import Floats
from analysis.units import COSTS, metric_label, metric_text

FEWEST = 3
"""With fewer spared trials nothing is estimated."""

RESAMPLES = 2000


class Regret(NamedTuple):
    """Of `n` spared trials that completed, `better` ended with a better score than the best that was let through.

    `most` is by how much the best of them did, in the unit of the metric; 0 where none did, NaN where nothing that was
    let through completed, so that there is nothing to compare with.
    """

    n: int
    better: int
    most: float


class Savings(NamedTuple):
    """Shares of the steps that the search would have trained had nothing been stopped."""

    saved: float
    audit: float


def audited(ledger: Ledger) -> pd.DataFrame:
    """The search's completed trials with the column `weight`: how many trials of the search each stands for.

    1 for a trial that every rung let through, 1 / audit_share for a spared one. Trials that diverged or failed have no
    score at the end; what is estimated is about those that would have completed. Raises LedgerError where trials were
    spared and the run does not say with which share.
    """
    trials = ledger.read("trials", ["trial", "configuration", "stage", "ending", "spared", "metric.*"])
    seen = trials[(trials["stage"] == "search") & (trials["ending"] == "completed")].reset_index(drop=True)
    spared = seen["spared"] >= 0
    weight = 1 / _share(ledger) if spared.any() else 1.0
    return seen.assign(weight=np.where(spared, weight, 1.0))


def agreement(ledger: Ledger, objectives: Sequence[Objective], confidence: float = 0.95) -> pd.DataFrame:
    """How well the score at each rung but the last predicts the score at the end: a row per objective and rung.

    Columns: `metric`, `rung`, `step`, `n` (completed trials), `n_spared` (among them), `rho` (weighted Spearman
    correlation over `audited` trials, -1 to 1), `low` and `high` (its bootstrap interval, see `spearman_interval`).
    The population is at every rung the same, all trials of the search that would have completed, so rungs compare.
    """
    trials, rungs = audited(ledger), contract(ledger, "rungs")
    rows = [
        {"metric": objective.metric, "rung": rung, "step": step}
        | _agreement(trials, _at(ledger, trials, step, objective.column), objective.column, confidence)
        for objective in objectives
        for rung, step in enumerate(rungs[:-1])
    ]
    return pd.DataFrame(rows, columns=["metric", "rung", "step", "n", "n_spared", "rho", "low", "high"])


def weighted_spearman(x: ArrayLike, y: ArrayLike, weights: ArrayLike) -> float:
    """Spearman's rank correlation of n pairs, of which pair i stands for `weights[i]` >= 0 equal ones.

    A value's rank is the weight of all smaller ones and half of that of its equals, which for weights of 1 is the usual
    midrank (less a constant), and for whole weights that of the list in which each pair is repeated so often. NaN
    where all x, or all y, of a weight above 0 are equal.
    """
    w = np.asarray(weights, dtype=np.float64)
    ranks = [_weighted_ranks(np.unique(np.asarray(values), return_inverse=True)[1], w) for values in (x, y)]
    return _correlation(ranks[0], ranks[1], w)


def spearman_interval(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike,
    groups: ArrayLike,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `weighted_spearman`, drawing whole `groups` (n,) with replacement.

    The seeds of a configuration are one group: they are not independent of each other. Draws in which all x or all y
    are equal have no correlation and are left out; NaN where that is every draw.
    """
    w = np.asarray(weights, dtype=np.float64)
    places = [np.unique(np.asarray(values), return_inverse=True)[1] for values in (x, y)]
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(member.max()) + 1
    drawn = np.empty(resamples)
    for index in range(resamples):
        # How often each group was drawn multiplies the weights: the same as repeating its rows.
        times = w * np.bincount(generator.integers(count, size=count), minlength=count)[member]
        drawn[index] = _correlation(_weighted_ranks(places[0], times), _weighted_ranks(places[1], times), times)
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def regret(ledger: Ledger, objective: Objective) -> Regret:
    """What stopping would have lost in one objective: the spared trials against the best that was let through.

    Only spared trials are seen, so this is what the audit has caught, not the most that was lost: about 1 / audit_share
    times as many stopped trials would have ended better. Values that are not finite do not count.
    """
    trials = audited(ledger)
    score = objective.sign * trials[objective.column]
    spared = score[(trials["spared"] >= 0) & np.isfinite(score)]
    through = score[(trials["spared"] < 0) & np.isfinite(score)]
    ahead = (spared - through.max()).to_numpy(dtype=np.float64)  # NaN where nothing was let through
    return Regret(len(spared), int((ahead > 0).sum()), float(ahead.max(initial=0)))


def savings(ledger: Ledger) -> Savings:
    """What stopping saved of the search's steps, and what of them the audit has cost.

    Both as shares of what the same trials would have trained with nothing stopped: what they have trained, up to their
    last reports, and what the stopped ones would have trained on to the end. The audit's cost is what spared trials
    have trained beyond the rung that would have stopped them.
    """
    rungs = np.asarray(contract(ledger, "rungs"), dtype=np.int64)
    trials = ledger.read("trials", ["stage", "ending", "spared", "steps"])
    trials = trials[trials["stage"] == "search"]
    stopped, spared = trials[trials["ending"] == "stopped"], trials[trials["spared"] >= 0]
    saved = float((rungs[-1] - stopped["steps"]).sum())
    extra = float((spared["steps"] - rungs[spared["spared"]]).clip(lower=0).sum())
    whole = float(trials["steps"].sum()) + saved
    return Savings(saved / whole, extra / whole) if whole else Savings(0.0, 0.0)


def stopping_lines(ledger: Ledger) -> list[str]:
    """What the audit says, in a few sentences; none where nothing was spared."""
    trials = ledger.read("trials", ["stage", "ending", "spared"])
    spared = trials[(trials["stage"] == "search") & (trials["spared"] >= 0)]
    if spared.empty:
        return []
    share = savings(ledger)
    lines = [f"stopping saved {share.saved:.0%} of the search's steps; the audit of it cost {share.audit:.0%}"]
    count = int((spared["ending"] == "completed").sum())
    if count < FEWEST:
        return [*lines, f"audit: {count} spared trials completed, too few to say what stopping lost ({FEWEST} needed)"]
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    frame = agreement(ledger, objectives)
    for objective in objectives:
        lines.append(_agreement_line(frame[frame["metric"] == objective.metric], objective))
        lines.append(_regret_line(regret(ledger, objective), objective))
    return lines


# --- the steps ---------------------------------------------------------------------------------------------------


def _share(ledger: Ledger) -> float:
    share = float(contract(ledger, "audit_share"))
    if not 0 < share <= 1:
        raise LedgerError(
            f"trials of {ledger.path} were spared, but audit_share is {share:g}; 0 < share <= 1 must hold"
        )
    return share


def _at(ledger: Ledger, trials: pd.DataFrame, step: int, column: str) -> Floats:
    """The reports of `column` at `step` for the rows of `trials`; NaN where there is none."""
    reports = ledger.read("reports", ["trial", "step", column])
    scores: pd.Series = reports[reports["step"] == step].set_index("trial")[column]
    return trials["trial"].map(scores).to_numpy(dtype=np.float64)


def _agreement(trials: pd.DataFrame, early: Floats, column: str, confidence: float) -> dict[str, float]:
    end = trials[column].to_numpy(dtype=np.float64)
    known = np.isfinite(early) & np.isfinite(end)
    x, y, chosen = early[known], end[known], trials[known]
    counts = {"n": len(chosen), "n_spared": int((chosen["spared"] >= 0).sum())}
    if len(chosen) < 2:
        return counts | {"rho": float("nan"), "low": float("nan"), "high": float("nan")}
    weights, groups = chosen["weight"].to_numpy(dtype=np.float64), chosen["configuration"].to_numpy()
    low, high = spearman_interval(x, y, weights, groups, np.random.default_rng(0), confidence)
    return counts | {"rho": weighted_spearman(x, y, weights), "low": low, "high": high}


def _weighted_ranks(places: NDArray[np.intp], weights: Floats) -> Floats:
    """Ranks (n,) of values of which `places` (n,) says the how-manieth smallest distinct one each is, from 0."""
    total = np.bincount(places, weights=weights)
    ranks: Floats = (np.cumsum(total) - total / 2)[places]
    return ranks


def _correlation(x: Floats, y: Floats, weights: Floats) -> float:
    """Pearson's correlation under weights; NaN where x or y does not vary."""
    kept = weights > 0
    if not kept.any() or np.ptp(x[kept]) == 0 or np.ptp(y[kept]) == 0:
        return float("nan")
    x, y = (values - np.average(values, weights=weights) for values in (x, y))
    covariance = (weights * x * y).sum()
    return float(covariance / np.sqrt((weights * x * x).sum() * (weights * y * y).sum()))


def _agreement_line(frame: pd.DataFrame, objective: Objective) -> str:
    columns = (frame[name].tolist() for name in ("step", "rho", "low", "high"))
    parts = [_rho(*row) for row in zip(*columns, strict=True)]
    return (
        f"audit: rank correlation of {metric_label(objective.metric)} with the end (95 % intervals): {', '.join(parts)}"
    )


def _rho(step: int, rho: float, low: float, high: float) -> str:
    said = f"{rho:.2f} ({low:.2f} to {high:.2f})" if np.isfinite([rho, low, high]).all() else "unknown"
    return f"{said} at step {step}"


def _regret_line(found: Regret, objective: Objective) -> str:
    label = metric_label(objective.metric)
    if not np.isfinite(found.most):
        return f"audit: no trial with a {label} was let through, so there is nothing to compare spared ones with"
    count = f"{found.better or 'none'} of {found.n} spared trials"
    by = f", by up to {metric_text(objective.metric, found.most)}" if found.better else ""
    return f"audit: {count} ended with a better {label} than the best that was let through{by}"
