"""Curves of losses and signals: means over trials, and diagnostics of each trial's own curve.

A report holds means over the steps since the previous one, so a curve has as many points as its trial has reports.
Diagnostics that need more points are NaN.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.ledger.load import Ledger
from analysis.statistics.intervals import Floats, mean_interval_from_spread

MOST_TRIALS = 20_000
"""Most trials whose curves are read; of more, a random sample."""

STILL = 0.01
"""A loss stagnates while it stays within this share of its last value."""

SPIKE = 3.0
"""A spike is a rise by more than this multiple of the trial's median absolute change."""

DIAGNOSTICS = {
    "oscillation": "1 - |last - first| / sum |change|: 0 monotonic, 1 back where it started (3 reports or more)",
    "spikes": f"rises above {SPIKE:g} times the median |change| (4 reports or more)",
    "stagnation": f"share of final steps with the loss within {100 * STILL:g} % of its last value (3 reports or more)",
    "critic_ratio": "|critic's loss| / |generator's adversarial loss|, last report",
    "grad_norm": "norm of the generator's gradient before clipping, loss per unit of weight, last report",
    "grad_growth": "last norm of the gradient / first",
}
"""The diagnostics of a curve, each with its formula; dimensionless except for grad_norm."""

_LOSS, _ADVERSARIAL, _CRITIC, _NORM = "loss.total", "loss.adversarial", "signal.critic_loss", "grad_norm"


def sample_trials(trials: pd.DataFrame, most: int = MOST_TRIALS, seed: int = 0) -> pd.DataFrame:
    """The rows of `trials`, or a random sample of `most` of them, in their order."""
    if len(trials) <= most:
        return trials
    rows = np.random.default_rng(seed).choice(len(trials), most, replace=False)
    return trials.iloc[np.sort(rows)]


def read_reports(ledgers: Sequence[Ledger], trials: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """`trial`, `step` and `columns` (patterns as in `Ledger.read`) of the reports of `trials`, by trial and step."""
    wanted, names = trials["trial"].tolist(), ["trial", "step", *columns]
    united = pd.concat([ledger.read("reports", names, wanted) for ledger in ledgers], ignore_index=True)
    # Two runs may hold the same trial.
    once = united.drop_duplicates(["trial", "step"])
    return once.sort_values(["trial", "step"], ignore_index=True)


def diagnostics(reports: pd.DataFrame) -> pd.DataFrame:
    """The figures of DIAGNOSTICS for each trial of `reports`, which are sorted by trial and step.

    `reports` needs `trial` and `step`; of loss.total, loss.adversarial, signal.critic_loss and grad_norm whatever is
    there. Columns: `trial`, `reports` (how many), then those of DIAGNOSTICS. A curve that is not finite has none.
    """
    names, starts, counts = _groups(reports["trial"])
    if not len(names):
        return pd.DataFrame(columns=["trial", "reports", *DIAGNOSTICS])
    ends, group = starts + counts - 1, np.repeat(np.arange(len(names)), counts)
    loss, adversarial, critic, norm = (_column(reports, name) for name in (_LOSS, _ADVERSARIAL, _CRITIC, _NORM))
    change = np.diff(loss, prepend=np.nan)
    # The row before belongs to another trial.
    change[starts] = np.nan
    size = pd.Series(np.abs(change)).groupby(group)
    with np.errstate(divide="ignore", invalid="ignore"):
        oscillation = 1 - np.abs(loss[ends] - loss[starts]) / size.sum().to_numpy()
        # The median, which the spikes themselves hardly move.
        steep = change > SPIKE * size.median().to_numpy()[group]
        spikes = np.bincount(group, weights=steep)
        ratio, growth = np.abs(critic[ends]) / np.abs(adversarial[ends]), norm[ends] / norm[starts]
    finite = np.bincount(group, weights=~np.isfinite(loss)) == 0
    return pd.DataFrame(
        {
            "trial": names,
            "reports": counts,
            "oscillation": np.where(finite & (counts >= 3), np.clip(oscillation, 0, 1), np.nan),
            "spikes": np.where(finite & (counts >= 4), spikes, np.nan),
            "stagnation": np.where(finite & (counts >= 3), _still(reports, loss, group, ends), np.nan),
            "critic_ratio": ratio,
            "grad_norm": norm[ends],
            "grad_growth": np.where(counts >= 2, growth, np.nan),
        }
    )


def mean_curves(reports: pd.DataFrame, line: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    """The mean of each of `columns` over the trials of a line at each step, with its 95 % t interval over trials.

    `line` maps a trial to the text of its line. Columns: `line`, `step`, `curve` (the name of the column), `n` (trials
    that reported it there: those that diverged before are no longer among them), `mean`, `low`, `high`, in the
    column's unit.
    """
    text = reports["trial"].map(line)
    there = [column for column in columns if column in reports.columns]
    parts = []
    for column in there:
        values = reports[column].astype("float64")
        kept = np.isfinite(values) & text.notna()
        # A report may lack a loss that another training rule has, so n is counted per column.
        grouped = values[kept].groupby([text[kept].rename("line"), reports.loc[kept, "step"]])
        frame = grouped.agg(n="count", mean="mean", spread="std").reset_index()
        frame["low"], frame["high"] = mean_interval_from_spread(frame["mean"], frame.pop("spread"), frame["n"])
        parts.append(frame.assign(curve=column))
    order = ["line", "step", "curve", "n", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True)[order] if parts else pd.DataFrame(columns=order)


def diagnostics_by(found: pd.DataFrame, line: pd.Series) -> pd.DataFrame:
    """The median of each figure of `found` (as `diagnostics` gives it) over the trials of each line, and their `n`."""
    text = found["trial"].map(line).rename("line")
    grouped = found.groupby(text)[list(DIAGNOSTICS)]
    return grouped.median().assign(n=grouped.size()).reset_index()


def _groups(trial: pd.Series) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The value, first row and length of each run of equal values."""
    if not len(trial):
        return [], np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    starts = np.flatnonzero(trial.ne(trial.shift()).to_numpy(dtype=np.bool_))
    return trial.iloc[starts].tolist(), starts, np.diff(starts, append=len(trial))


def _column(frame: pd.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _still(reports: pd.DataFrame, loss: Floats, group: np.ndarray, ends: np.ndarray) -> Floats:
    """The share of a trial's steps from the first report after which its loss stays within STILL of its last one."""
    step = reports["step"].to_numpy(dtype=np.float64)
    away = np.abs(loss - loss[ends][group]) > STILL * np.abs(loss[ends][group])
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    # The row after the last one that is away; the last row itself never is, so `since` stays within the trial.
    rows = np.where(away, np.arange(loss.size) + 1, starts[group])
    since = pd.Series(rows).groupby(group).max().to_numpy()
    share: Floats = (step[ends] - step[since]) / step[ends]
    return share
