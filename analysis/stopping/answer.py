"""The audit of early stopping: how well rungs predict the final ranking, and what stopping lost and saved.

A random fraction of the trials that a rung would stop is spared and trained to the end. Together with the trials that
every rung promoted, they show how well the scores at a rung predict the end. The two groups are sampled at different
rates, so each spared trial stands for 1 / share trials: itself and the stopped ones like it (inverse probability
weights: Horvitz and Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe", JASA 1952).
Without weights the stopped trials would hardly count, and the correlation would be that among the good trials alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, LedgerError, Objective, contract
from analysis.ledger.units import COSTS, metric_label, metric_text
from analysis.statistics.correlation import spearman_interval, weighted_spearman
from analysis.statistics.intervals import Floats

FEWEST = 3
"""Fewest spared trials for any estimate."""

MOST_TRIALS = 5000
"""Trials whose scores at rungs are compared with the end; enough to know a correlation to within 0.03."""


class Regret(NamedTuple):
    """Of `n` completed spared trials, `better` ended with a better score than the best promoted trial.

    `most` is the largest margin, in the unit of the metric: 0 if none was better, NaN if no promoted trial completed.
    """

    n: int
    better: int
    most: float


class Savings(NamedTuple):
    """Shares (0 to 1) of the steps that the search would have trained without stopping."""

    saved: float
    audit: float


def weighted_trials(ledger: Ledger) -> pd.DataFrame:
    """The search's completed trials with the column `weight`: how many trials of the search each one stands for.

    1 for a trial that every rung promoted, 1 / audit_share for a spared one. Trials that diverged or failed have no
    final score, so estimates are about trials that would have completed. Raises LedgerError where trials were spared
    but the run records no valid audit_share.
    """
    columns = [objective.column for objective in ledger.objectives]
    trials = ledger.read("trials", ["trial", "configuration", "stage", "ending", "spared", *columns])
    seen = trials[(trials["stage"] == "search") & (trials["ending"] == "completed")].reset_index(drop=True)
    spared = seen["spared"] >= 0
    # Asked for only if needed: a run without an audit records a share of 0, which `_share` refuses.
    weight = 1 / _share(ledger) if spared.any() else 1.0
    return seen.assign(weight=np.where(spared, weight, 1.0))


def stopped_trials(ledger: Ledger) -> pd.DataFrame:
    """The search's trials that a rung has stopped: `trial`, `steps`."""
    trials = ledger.read("trials", ["trial", "stage", "ending", "steps"])
    kept = (trials["stage"] == "search") & (trials["ending"] == "stopped")
    return trials.loc[kept, ["trial", "steps"]].reset_index(drop=True)


def scores(ledger: Ledger, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The score of each of `weighted_trials` at every rung but the last, and its final score.

    A row per objective, rung and trial: `metric`, `rung`, `step`, `trial`, `configuration`, `spared` (the rung that
    would have stopped it; -1: none), `weight`, and `early` and `end` in the metric's unit, NaN where not reported.
    With more than MOST_TRIALS trials, a random sample of whole configurations, drawn with a fixed seed.
    """
    # The last rung is the end itself, which the others are to predict.
    trials, rungs = _some(weighted_trials(ledger)), contract(ledger, "rungs")
    columns = [objective.column for objective in objectives]
    reports = ledger.read("reports", ["trial", "step", *columns], trials["trial"])
    parts = [
        trials[["trial", "configuration", "spared", "weight"]].assign(
            metric=objective.metric,
            rung=rung,
            step=step,
            early=scores_at(reports, trials, step, objective.column),
            end=trials[objective.column].astype("float64"),
        )
        for objective in objectives
        for rung, step in enumerate(rungs[:-1])
    ]
    names = ["metric", "rung", "step", "trial", "configuration", "spared", "weight", "early", "end"]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def agreement(ledger: Ledger, objectives: Sequence[Objective], confidence: float = 0.95) -> pd.DataFrame:
    """How well the score at each rung but the last predicts the score at the end: a row per objective and rung.

    Columns: `metric`, `rung`, `step`, `n` (completed trials), `n_spared` (among them), `rho` (weighted Spearman
    correlation over `weighted_trials`, -1 to 1), `low` and `high` (its bootstrap interval, see `spearman_interval`).
    The population is the same at every rung (all trials of the search that would have completed), so rungs can be
    compared. NaN where trials were stopped but fewer than FEWEST spared ones completed: the stopped ones are unknown.
    For a large run `n` is the size of the sample of `scores`, and `sample_lines` says so.
    """
    return agreement_of(scores(ledger, objectives), bool(len(stopped_trials(ledger))), confidence)


def agreement_of(frame: pd.DataFrame, stopped: bool, confidence: float = 0.95) -> pd.DataFrame:
    """`agreement` from a frame of `scores`; `stopped` says whether any rung of the search stopped a trial."""
    rows = [
        {"metric": metric, "rung": rung, "step": step} | _agreement(part, stopped, confidence)
        for (metric, rung, step), part in frame.groupby(["metric", "rung", "step"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["metric", "rung", "step", "n", "n_spared", "rho", "low", "high"])


def sample_lines(ledger: Ledger) -> list[str]:
    """A sentence saying that the correlations are from a sample; empty if they are not."""
    trials = weighted_trials(ledger)
    if len(trials) <= MOST_TRIALS:
        return []
    return [
        f"rank correlations: from {len(_some(trials)):,} of the {len(trials):,} completed trials, a random sample of "
        "whole configurations"
    ]


def regret(ledger: Ledger, objective: Objective) -> Regret:
    """The observed regret in one objective: spared trials against the best promoted trial.

    This counts what the audit caught, not everything that was lost: about 1 / audit_share times as many stopped trials
    would have ended better. Values that are not finite do not count.
    """
    trials = weighted_trials(ledger)
    score = objective.sign * trials[objective.column]
    spared = score[(trials["spared"] >= 0) & np.isfinite(score)]
    through = score[(trials["spared"] < 0) & np.isfinite(score)]
    # NaN where no trial was promoted.
    ahead = (spared - through.max()).to_numpy(dtype=np.float64)
    return Regret(len(spared), int((ahead > 0).sum()), float(ahead.max(initial=0)))


def savings(ledger: Ledger) -> Savings:
    """What stopping saved of the search's steps and what its audit cost, over all rungs."""
    frame = saved_by_rung(ledger, ["steps"])
    return Savings(float(frame["saved_steps"].sum()), float(frame["audit_steps"].sum()))


def savings_line(ledger: Ledger) -> str:
    """`savings` in a sentence."""
    saved, cost = (f"{100 * share:.0f} %" for share in savings(ledger))
    return f"stopping saved {saved} of the search's steps; its audit cost {cost}"


def saved_by_rung(ledger: Ledger, units: Sequence[str] = ("steps", "seconds")) -> pd.DataFrame:
    """What each rung but the last saved, and what its audit cost: a row per rung.

    Columns: `rung`, `step`, `reached` (trials of the search that reported there), `stopped`, `spared`; `saved_steps`,
    `saved_seconds`, `audit_steps` and `audit_seconds` are shares (0 to 1) of what the same trials would have taken
    without stopping: what they did take up to their last reports, plus what the stopped ones would still have taken,
    in seconds of training and evaluation extrapolated at their own pace (NaN without recorded times). The audit's cost
    is what spared trials took beyond the rung that would have stopped them. `units` selects steps, seconds or both.
    """
    rungs = np.asarray(contract(ledger, "rungs"), dtype=np.int64)
    trials = ledger.read(
        "trials", ["trial", "stage", "ending", "spared", "rung", "steps", "time.train_s", "time.eval_s"]
    )
    trials = trials[trials["stage"] == "search"]
    stopped = trials[trials["ending"] == "stopped"]
    spared = trials[trials["spared"] >= 0]
    # A stopped trial's last step is the rung that stopped it.
    at = np.searchsorted(rungs, stopped["steps"].to_numpy(dtype=np.int64))
    numbers = range(len(rungs) - 1)
    frame = pd.DataFrame(
        {
            "rung": numbers,
            "step": rungs[:-1],
            "reached": [int((trials["rung"] >= rung).sum()) for rung in numbers],
            "stopped": [int((at == rung).sum()) for rung in numbers],
            "spared": [int((spared["spared"] == rung).sum()) for rung in numbers],
        }
    )
    for unit in units:
        if unit == "steps":
            taken = float(trials["steps"].sum())
            gains = rungs[-1] - stopped["steps"].to_numpy(dtype=np.float64)
            extra = (spared["steps"] - rungs[spared["spared"]]).clip(lower=0).to_numpy(dtype=np.float64)
        else:
            taken, gains = float(_taken_s(trials).sum()), _rest_s(stopped, rungs)
            extra = _beyond_s(ledger, spared, rungs)
        # `gains` is the rest of the stopped trials' training: together the cost of a search without stopping.
        whole = taken + gains.sum()
        for name, amounts, rung_of in (("saved", gains, at), ("audit", extra, spared["spared"].to_numpy())):
            sums = np.array([amounts[rung_of == rung].sum() for rung in numbers])
            # Without a step nothing was saved; without recorded times nobody knows.
            frame[f"{name}_{unit}"] = sums / whole if whole else 0.0 if unit == "steps" else np.nan
    return frame


def stopping_lines(ledger: Ledger) -> list[str]:
    """The audit in a few sentences; empty if no trial was spared."""
    trials = ledger.read("trials", ["stage", "ending", "spared"])
    spared = trials[(trials["stage"] == "search") & (trials["spared"] >= 0)]
    if spared.empty:
        return []
    lines = [savings_line(ledger)]
    count = int((spared["ending"] == "completed").sum())
    if count < FEWEST:
        return [
            *lines,
            f"audit: {count} spared trials completed, too few to estimate what stopping lost ({FEWEST} needed)",
        ]
    objectives = [objective for objective in ledger.objectives if objective.metric not in COSTS]
    frame = agreement(ledger, objectives)
    for objective in objectives:
        lines.append(_agreement_line(frame[frame["metric"] == objective.metric], objective))
        lines.append(_regret_line(regret(ledger, objective), objective))
    return [*lines, *sample_lines(ledger)]


# --- the steps ---------------------------------------------------------------------------------------------------


def _share(ledger: Ledger) -> float:
    share = float(contract(ledger, "audit_share"))
    if not 0 < share <= 1:
        raise LedgerError(
            f"{ledger.path} has spared trials, but its audit_share is {share:g}; 0 < audit_share <= 1 must hold"
        )
    return share


def _some(trials: pd.DataFrame) -> pd.DataFrame:
    """At most MOST_TRIALS of `trials`, as whole configurations, and at least one configuration."""
    if len(trials) <= MOST_TRIALS:
        return trials
    # Whole configurations, since the bootstrap resamples configurations.
    codes, names = pd.factorize(trials["configuration"], sort=True)
    # A fixed seed, and sorted codes: equal ledgers give equal samples.
    order = np.random.default_rng(0).permutation(len(names))
    fitting = int(np.searchsorted(np.cumsum(np.bincount(codes)[order]), MOST_TRIALS, side="right"))
    return trials[np.isin(codes, order[: max(1, fitting)])].reset_index(drop=True)


def scores_at(reports: pd.DataFrame, trials: pd.DataFrame, step: int, column: str) -> Floats:
    """The values of `column` that `trials` (n,) reported at `step`: (n,), NaN where there is no report."""
    found: pd.Series = reports[reports["step"] == step].set_index("trial")[column]
    return trials["trial"].map(found).to_numpy(dtype=np.float64)


def _agreement(part: pd.DataFrame, blind: bool, confidence: float) -> dict[str, float]:
    chosen = part[np.isfinite(part["early"]) & np.isfinite(part["end"])]
    n_spared = int((chosen["spared"] >= 0).sum())
    counts = {"n": len(chosen), "n_spared": n_spared}
    # Promoted trials alone would give the agreement among good trials, which is another question.
    if len(chosen) < 2 or (blind and n_spared < FEWEST):
        return counts | {"rho": float("nan"), "low": float("nan"), "high": float("nan")}
    x, y, weights = (chosen[name].to_numpy(dtype=np.float64) for name in ("early", "end", "weight"))
    groups = chosen["configuration"].to_numpy()
    low, high = spearman_interval(x, y, weights, groups, np.random.default_rng(0), confidence)
    return counts | {"rho": weighted_spearman(x, y, weights), "low": low, "high": high}


def _taken_s(trials: pd.DataFrame) -> pd.Series:
    """Seconds of training and evaluation of each trial; 0 for one that never reported."""
    if not {"time.train_s", "time.eval_s"} <= set(trials.columns):
        return pd.Series(0.0, index=trials.index)
    return trials[["time.train_s", "time.eval_s"]].astype("float64").fillna(0.0).sum(axis=1)


def _rest_s(stopped: pd.DataFrame, rungs: NDArray[np.int64]) -> Floats:
    """Seconds each stopped trial would still have taken: training at its own pace, and an evaluation per rung."""
    if not {"time.train_s", "time.eval_s"} <= set(stopped.columns):
        return np.zeros(len(stopped))
    steps = stopped["steps"].to_numpy(dtype=np.float64)
    reports = np.searchsorted(rungs, steps) + 1
    train_s, eval_s = (stopped[name].to_numpy(dtype=np.float64) for name in ("time.train_s", "time.eval_s"))
    # Training scales with steps, evaluation with reports.
    rest: Floats = train_s * (rungs[-1] / steps - 1) + eval_s * (len(rungs) / reports - 1)
    return np.nan_to_num(rest)


def _beyond_s(ledger: Ledger, spared: pd.DataFrame, rungs: NDArray[np.int64]) -> Floats:
    """Seconds each spared trial took beyond the rung that would have stopped it."""
    reports = ledger.read("reports", ["trial", "step", "train_s", "eval_s"], spared["trial"].tolist())
    if spared.empty or not {"train_s", "eval_s"} <= set(reports.columns):
        return np.zeros(len(spared))
    # `rungs` is indexed by the number of the rung that would have stopped the trial.
    limit = reports["trial"].map(dict(zip(spared["trial"], rungs[spared["spared"]], strict=True)))
    seconds = reports[reports["step"] > limit].groupby("trial")[["train_s", "eval_s"]].sum().sum(axis=1)
    return spared["trial"].map(seconds).fillna(0.0).to_numpy(dtype=np.float64)


def _agreement_line(frame: pd.DataFrame, objective: Objective) -> str:
    columns = (frame[name].tolist() for name in ("step", "rho", "low", "high"))
    parts = [_rho(*row) for row in zip(*columns, strict=True)]
    label = metric_label(objective.metric)
    return f"audit: rank correlation of {label} with its final value (95 % intervals): {', '.join(parts)}"


def _rho(step: int, rho: float, low: float, high: float) -> str:
    said = f"{rho:.2f} ({low:.2f} to {high:.2f})" if np.isfinite([rho, low, high]).all() else "unknown"
    return f"{said} at step {step}"


def _regret_line(found: Regret, objective: Objective) -> str:
    label = metric_label(objective.metric)
    if not np.isfinite(found.most):
        return f"audit: no promoted trial has a score in {label}, so there is nothing to compare spared trials with"
    count = f"{f'{found.better:,}' if found.better else 'none'} of {found.n:,} spared trials"
    by = f", by up to {metric_text(objective.metric, found.most)}" if found.better else ""
    return f"audit: {count} ended with a better {label} than the best promoted trial{by}"
