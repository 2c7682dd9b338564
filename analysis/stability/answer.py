"""How stable training is: what diverges, from which learning rate on, and how much the seed matters.

A trial that failed (an exception, a lost machine) or was refused says nothing about training and is not counted. One
that was stopped early counts as not diverged, though it might have diverged later; so a sweep that asks about stability
should not stop trials (`stopping="none"`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.names import run_names
from analysis.ledger.schema import TRAINED
from analysis.stability.factors import BINS, Factor, Levels, levels_of, mask_inactive, searched_factors
from analysis.statistics.intervals import rate_intervals, spread_interval
from analysis.statistics.robust import interquartile_interval

MOST_CONFIGURATIONS = 200
"""An interquartile mean is over at most so many configurations, drawn at random, to bound the bootstrap's time."""

SIDES = 6
"""Most levels of a factor that is plotted as one curve per level: more cannot be told apart."""

_RUN = Factor("run")


def outcomes(ledgers: Sequence[Ledger], factors: Sequence[Factor]) -> pd.DataFrame:
    """One row per trial that trained: how it ended, and its factors. Only the columns needed are read.

    Columns: `run` (its name, `run_names`), `trial`, `configuration`, `label`, `stage`, `seed`, `ending`, `reason`,
    `steps`, `score` (the first objective, in its unit; NaN unless the trial completed), `diverged` (bool), and
    `config.*` of the `factors`. Raises LedgerError if the runs' first objectives differ, or if no trial trained.
    """
    objective = first_objective(ledgers)
    names = ["trial", "configuration", "label", "stage", "seed", "ending", "reason", "steps", objective.column]
    frames = []
    for ledger, run in zip(ledgers, run_names([ledger.path for ledger in ledgers]), strict=True):
        frame = ledger.read("trials", [*names, *(factor.column for factor in factors)])
        frame = mask_inactive(frame, ledger)
        frames.append(frame.assign(run=run))
    whole = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    # A trial's identity is a digest, so two runs may hold the same trial.
    whole = whole.drop_duplicates("trial")
    trained = whole[whole["ending"].isin(TRAINED)].reset_index(drop=True)
    if trained.empty:
        raise LedgerError(f"none of the {len(whole)} trials trained: all failed or were refused")
    # A stopped or diverged trial has the score of an earlier step, which does not compare.
    score = trained[objective.column].where(trained["ending"] == "completed").astype("float64")
    label = trained["label"].fillna("") if "label" in trained.columns else ""
    return trained.assign(score=score, diverged=trained["ending"] == "diverged", label=label)


def first_objective(ledgers: Sequence[Ledger]) -> Objective:
    """The first objective, which all runs must share. Raises LedgerError if they do not."""
    found = {ledger.objectives[0] for ledger in ledgers}
    if len(found) > 1:
        names = ", ".join(sorted(objective.metric for objective in found))
        raise LedgerError(f"the runs have different first objectives ({names}); analyze them one by one")
    return ledgers[0].objectives[0]


def varying_factors(frame: pd.DataFrame, ledgers: Sequence[Ledger]) -> list[Factor]:
    """The searched factors with more than one value in `frame`; with several ledgers, the run is the first factor."""
    found = [factor for factor in searched_factors(ledgers) if factor.column in frame.columns]
    several = [factor for factor in found if frame[factor.column].nunique() > 1]
    return [*([_RUN] if len(ledgers) > 1 else []), *several]


def levels(frame: pd.DataFrame, factor: Factor, bins: int = BINS) -> Levels:
    """The levels of `factor` in the rows of `frame` (as `outcomes` gives it)."""
    # `is`, not ==: a sweep may search a parameter that is called run.
    return levels_of(frame["run" if factor is _RUN else factor.column], factor.log, bins)


def default_grouping(frame: pd.DataFrame, factors: Sequence[Factor], rate: Factor | None) -> Factor | None:
    """The factor to group by if none is named: the first other than `rate` with at most SIDES levels; None if none."""
    others = (factor for factor in factors if factor != rate)
    return next((factor for factor in others if len(levels(frame, factor).texts) <= SIDES), None)


def divergence(frame: pd.DataFrame, factors: Sequence[Factor], bins: int = BINS) -> pd.DataFrame:
    """The rate of divergence overall and at each level of each factor, with Wilson's 95 % interval over trials.

    `frame` needs `diverged` (bool) and the factors' columns. Columns: `factor` ("" for overall), `level`, `from` and
    `to` (the level's bounds, NaN if it is not a number), `n` (trials), `diverged` (how many of them), `rate`, `low`,
    `high` (0 to 1). Trials without a value (the factor's condition did not hold) are in no level of that factor.
    """
    lost = frame["diverged"].to_numpy(dtype=np.bool_)
    whole = Levels(np.zeros(lost.size, dtype=np.intp), ["all trials"], np.full(1, np.nan), np.full(1, np.nan))
    parts = [_rates("", whole, lost)]
    parts += [_rates(factor.name, levels(frame, factor, bins), lost) for factor in factors]
    return pd.concat(parts, ignore_index=True)


def edge(frame: pd.DataFrame, rate: Factor, by: Factor | None = None, bins: int = BINS) -> pd.DataFrame:
    """The rate of divergence at each level of the learning `rate`, for each level of `by`: the edge of stability.

    Columns as in `divergence`, plus `by` (the level of that factor as text; "" without one) and `at` (the position of
    the level on the learning rate's axis).
    """
    across, lost = levels(frame, rate, bins), frame["diverged"].to_numpy(dtype=np.bool_)
    groups = None if by is None else levels(frame, by, bins)
    parts = []
    for number, text in enumerate([""] if groups is None else groups.texts):
        rows = np.ones(lost.size, dtype=np.bool_) if groups is None else groups.code == number
        # The bins of all trials, so that the curves share their places on the axis.
        chosen = Levels(np.where(rows, across.code, -1), across.texts, across.low, across.high)
        parts.append(_rates(rate.name, chosen, lost).assign(by=text))
    found = pd.concat(parts, ignore_index=True)
    # `_rates` drops empty levels, so the middles are those of the rows that are left.
    ends = Levels(across.code, [], *(found[end].to_numpy(dtype=np.float64) for end in ("from", "to")))
    return found.assign(at=ends.middle)


def onset_lines(frame: pd.DataFrame) -> list[str]:
    """A sentence on where divergence sets in, for each curve of `frame` (as `edge` gives it)."""
    lines = []
    for text in frame["by"].drop_duplicates().tolist():
        curve = frame[frame["by"] == text].sort_values("at")
        # The levels before the first divergence: beyond it a level without one may be luck.
        clean = curve[(curve["diverged"] > 0).cummax() == 0]
        beyond = curve[curve["low"] > 0.5]
        parts = []
        if len(clean):
            n = int(clean["n"].sum())
            most = float(rate_intervals(0, n)[1])
            parts.append(f"none of {n} diverged up to {clean['level'].iloc[-1]} (95 %: at most {100 * most:.0f} %)")
        if len(clean) < len(curve):
            first = curve[curve["diverged"] > 0].iloc[0]
            parts.append(f"the first at {first['level']} ({first['diverged']} of {first['n']})")
        if len(beyond):
            parts.append(f"more than half from {beyond['level'].iloc[0]} on (the whole interval is above 50 %)")
        lines.append(f"{f'{text}: ' if text else ''}{'; '.join(parts)}")
    return lines


def spreads(frame: pd.DataFrame, objective: Objective, by: Factor | None = None, seed: int = 0) -> pd.DataFrame:
    """How much the score varies between seeds, and its interquartile mean, for each level of `by`.

    Columns: `level`; `configurations` with at least two completed seeds, and `seeds`, their completed trials; `lost`
    (diverged trials of the level); `sd`, `sd_low`, `sd_high` (standard deviation between seeds, pooled over those
    configurations, in the score's unit, with its chi-squared 95 % interval); `iqm`, `iqm_low`, `iqm_high`
    (interquartile mean over the level's trials with its stratified bootstrap 95 % interval; a diverged trial counts as
    worse than any other, so the mean is -inf or inf if more than a quarter diverged); `drawn` (how many configurations
    the interquartile mean is over, at most MOST_CONFIGURATIONS, drawn by a generator seeded with `seed`).
    """
    ended = frame[frame["ending"].isin(["completed", "diverged"])]
    groups = None if by is None else levels(ended, by)
    rows = []
    for number, text in enumerate(["all trials"] if groups is None else groups.texts):
        part = ended if groups is None else ended[groups.code == number]
        middle = _middle(part, -objective.sign, np.random.default_rng(seed))
        rows.append({"level": text, **_spread(part), **middle})
    return pd.DataFrame(rows)


def profiles(frame: pd.DataFrame, objective: Objective, by: Factor | None = None, points: int = 100) -> pd.DataFrame:
    """Performance profiles: the share of runs with a better score than each of `points` thresholds.

    Dolan and More (Mathematical Programming 91, 2002), in the form of Agarwal et al. (arXiv 2108.13264), with Wilson's
    95 % interval at each threshold. A diverged trial is never better; trials that were stopped early are left out.
    Columns: `level` (of `by`), `threshold` (in the score's unit), `n`, `share`, `low`, `high`.
    """
    ended = frame[frame["ending"].isin(["completed", "diverged"])]
    known = ended["score"].dropna().to_numpy(dtype=np.float64)
    if not known.size:
        return pd.DataFrame(columns=["level", "threshold", "n", "share", "low", "high"])
    # A few runs far off would squeeze all others into one step of the curve.
    ends = np.quantile(known, [0.01, 0.99]) if known.size >= 200 else np.asarray([known.min(), known.max()])
    margin = 0.02 * (ends[1] - ends[0])
    thresholds = np.linspace(ends[0] - margin, ends[1] + margin, points)
    groups = None if by is None else levels(ended, by)
    parts = []
    for number, text in enumerate(["all trials"] if groups is None else groups.texts):
        scores = ended["score"] if groups is None else ended["score"][groups.code == number]
        gains = np.sort(objective.sign * scores.dropna().to_numpy(dtype=np.float64))
        # Diverged trials have no gain but count in n, so they are better than no threshold.
        better = gains.size - np.searchsorted(gains, objective.sign * thresholds, side="right")
        n = len(scores)
        low, high = rate_intervals(better, np.full(points, n))
        share = better / n if n else np.full(points, np.nan)
        parts.append({"level": text, "threshold": thresholds, "n": n, "share": share, "low": low, "high": high})
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def heat(frame: pd.DataFrame, across: Factor, up: Factor, bins: int = BINS) -> pd.DataFrame:
    """One row per pair of levels of two factors that has trials.

    Columns: `x` and `y` (indices of the levels), `across` and `up` (their texts), `n`, `diverged`, `rate`, `low`,
    `high` (as in `divergence`), and `score` (the median of the completed trials, in its unit).
    """
    one, other = levels(frame, across, bins), levels(frame, up, bins)
    known = (one.code >= 0) & (other.code >= 0)
    # One integer key per cell groups a million trials faster than a key of two columns.
    cell = pd.Series(one.code[known] * len(other.texts) + other.code[known], name="cell")
    part = frame.loc[known, ["diverged", "score"]].reset_index(drop=True)
    grouped = part.groupby(cell)
    found = grouped["diverged"].agg(n="size", diverged="sum").join(grouped["score"].median()).reset_index()
    found["x"], found["y"] = found["cell"] // len(other.texts), found["cell"] % len(other.texts)
    found["across"] = [one.texts[number] for number in found["x"]]
    found["up"] = [other.texts[number] for number in found["y"]]
    found["low"], found["high"] = rate_intervals(found["diverged"], found["n"])
    found["rate"] = found["diverged"] / found["n"]
    result: pd.DataFrame = found[["x", "y", "across", "up", "n", "diverged", "rate", "low", "high", "score"]]
    return result


def divergence_kinds(frame: pd.DataFrame) -> pd.Series:
    """How often each kind of divergence occurred ("nan", "explosion", ...): the reason without its step."""
    reasons = frame.loc[frame["diverged"], "reason"].fillna("").astype(str)
    counted: pd.Series = reasons.str.split(" by step ").str[0].value_counts()
    return counted


# --- the steps ---------------------------------------------------------------------------------------------------


def _rates(name: str, found: Levels, lost: NDArray[np.bool_]) -> pd.DataFrame:
    known, size = found.code >= 0, len(found.texts)
    n = np.bincount(found.code[known], minlength=size)
    count = np.bincount(found.code[known & lost], minlength=size)
    low, high = rate_intervals(count, n)
    columns = {"factor": name, "level": found.texts, "from": found.low, "to": found.high, "n": n, "diverged": count}
    # Empty levels are dropped in the next line; their rate of 0 / 1 only avoids a warning.
    frame = pd.DataFrame(columns | {"rate": count / np.where(n, n, 1), "low": low, "high": high})
    return frame[frame["n"] > 0]


def _spread(part: pd.DataFrame) -> dict[str, float]:
    """The standard deviation within configurations, pooled: variances are averaged with n - 1 as their weights."""
    # Search and confirmation are separate groups: they have other seeds, and the search's scores were selected.
    scores = part.loc[np.isfinite(part["score"]), ["run", "stage", "configuration", "score"]]
    grouped = scores.groupby(["run", "stage", "configuration"], sort=False)["score"]
    count, variance = grouped.count(), grouped.var(ddof=1)
    several = count >= 2
    degrees = int((count[several] - 1).sum())
    sd = float(np.sqrt(((count - 1) * variance)[several].sum() / degrees)) if degrees else float("nan")
    low, high = spread_interval(sd, degrees)
    counts = {"configurations": int(several.sum()), "seeds": int(count[several].sum())}
    lost = int(part["diverged"].sum())
    return counts | {"lost": lost, "sd": sd, "sd_low": float(low), "sd_high": float(high)}


def _middle(part: pd.DataFrame, worse: int, generator: np.random.Generator) -> dict[str, float]:
    """The interquartile mean over trials. Each repeated configuration is a stratum; if none is, all trials are one."""
    key = part["run"].astype(str) + "/" + part["stage"].astype(str) + "/" + part["configuration"].astype(str)
    code, names = pd.factorize(key)
    times = np.bincount(code, minlength=len(names))
    # A stratum of one value has no spread to resample: where some configurations are repeated, only these count.
    repeated = np.flatnonzero(times >= 2)
    pool = repeated if repeated.size else np.arange(len(names))
    drawn = pool if pool.size <= MOST_CONFIGURATIONS else generator.choice(pool, MOST_CONFIGURATIONS, replace=False)
    rows = np.isin(code, drawn)
    # Ranked last, not left out: else an optimizer that loses its bad runs would look best.
    values = np.where(part["diverged"], worse * np.inf, part["score"])[rows]
    strata = code[rows] if repeated.size else np.zeros(int(rows.sum()), dtype=np.intp)
    strata, values = strata[~np.isnan(values)], values[~np.isnan(values)]
    counts = {"drawn": int(drawn.size)}
    if not values.size:
        return counts | {"iqm": np.nan, "iqm_low": np.nan, "iqm_high": np.nan}
    mean, low, high = interquartile_interval(values, strata, generator)
    return counts | {"iqm": mean, "iqm_low": low, "iqm_high": high}
