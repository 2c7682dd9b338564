"""The regret of early stopping: how the stopped trials would have ended, judging by the spared ones of the same rung.

Trials are spared at random, so at each rung the spared ones are a random sample of all that it would have stopped, and
need no weights among themselves.
"""

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, Objective, contract
from analysis.statistics.intervals import Floats, rate_interval
from analysis.statistics.prediction import draw_predictions
from analysis.stopping.answer import scores_at

FRONT = "front"
"""In the column `metric`: all objectives together."""

ALL_RUNGS = -1

FEWEST_FOR_REGRET = 5
"""Fewest spared trials of a rung for a regression that predicts the stopped ones."""

DRAWS, FEWEST_DRAWS, MOST_NUMBERS = 4000, 500, 40_000_000
"""Draws of a regret: 4000, or as few as 500 to stay below 40 million random numbers."""

COLUMNS = ("metric", "rung", "step", "stopped", "spared", "better", "share", "low", "high",
           "regret", "regret_low", "regret_high")  # fmt: skip


def regret_by_rung(ledger: Ledger, objectives: Sequence[Objective], confidence: float = 0.95) -> pd.DataFrame:
    """The regret of each rung: a row per metric and rung that stopped or spared a trial.

    Columns: `metric` (or FRONT: all objectives of the run, where it has several), `rung`, `step`; `stopped` trials;
    `spared` ones that completed or diverged, and how many of them ended `better` than every promoted trial (FRONT: no
    promoted trial dominates them); their `share` with its Wilson interval `low` to `high`, which is valid for the
    stopped trials too, since a coin decided which were spared. `regret`, in the metric's unit, is the margin of the
    best trial that the rung would have stopped over the best promoted one, at least 0: median and interval of draws in
    which a regression on the spared trials predicts the final score of every stopped one (`draw_predictions`). It is
    NaN if a rung stopped trials but fewer than FEWEST_FOR_REGRET were spared. If several rungs stopped trials, rows
    with the rung ALL_RUNGS cover them together. If no trial was promoted, nothing is known and there are no rows.
    """
    trials = ledger.read("trials", ["trial", "stage", "ending", "spared", "steps", "metric.*"])
    trials = trials[trials["stage"] == "search"]
    # Promoted at every rung; spared trials are not, however well they ended.
    through = trials[(trials["ending"] == "completed") & (trials["spared"] < 0)]
    rungs = [_Rung(trials, rung, step) for rung, step in enumerate(contract(ledger, "rungs")[:-1])]
    rungs = [rung for rung in rungs if rung.stopped.size or len(rung.spared)]
    if through.empty or not rungs:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    if len(ledger.objectives) > 1:
        rows += _rows(FRONT, rungs, [_unbeaten(rung.spared, through, ledger.objectives) for rung in rungs], confidence)
    asked = pd.concat([part["trial"] for rung in rungs for part in (rung.stopped, rung.spared)])
    reports = ledger.read("reports", ["trial", "step", *(own.column for own in objectives)], asked)
    # A draw takes a number per stopped trial, so large runs get fewer draws.
    draws = int(np.clip(MOST_NUMBERS // max(1, sum(len(rung.stopped) for rung in rungs)), FEWEST_DRAWS, DRAWS))
    for objective in objectives:
        ahead = [_ahead(rung, through, objective) for rung in rungs]
        drawn = [_regrets(rung, reports, through, objective, draws) for rung in rungs]
        rows += _rows(objective.metric, rungs, [one > 0 for one in ahead], confidence, drawn)
    return pd.DataFrame(rows, columns=COLUMNS)


# --- the steps ---------------------------------------------------------------------------------------------------


class _Rung:
    """The trials that a rung stopped (ids), and the spared ones that it would have stopped (rows)."""

    def __init__(self, trials: pd.DataFrame, number: int, step: int) -> None:
        self.number, self.step = number, step
        self.stopped = trials.loc[(trials["ending"] == "stopped") & (trials["steps"] == step), ["trial"]]
        # Diverged ones count, since a share of the stopped trials would have diverged too.
        self.spared = trials[(trials["spared"] == number) & trials["ending"].isin(["completed", "diverged"])]


def _ends(trials: pd.DataFrame, objective: Objective) -> Floats:
    """Final scores (n,), higher is better; -inf for a trial that did not complete."""
    score = objective.sign * trials[objective.column].to_numpy(dtype=np.float64)
    return np.where((trials["ending"] == "completed") & np.isfinite(score), score, -np.inf)


def _ahead(rung: _Rung, through: pd.DataFrame, objective: Objective) -> Floats:
    """The margin of each spared trial of the rung over the best promoted trial."""
    ahead: Floats = _ends(rung.spared, objective) - _ends(through, objective).max()
    return ahead


def _unbeaten(spared: pd.DataFrame, through: pd.DataFrame, objectives: Sequence[Objective]) -> NDArray[np.bool_]:
    """Which spared trials no promoted trial matches or beats in every objective."""
    theirs, best = (np.column_stack([_ends(part, own) for own in objectives]) for part in (spared, through))
    # Whatever beats a trial is itself matched or beaten by a point of the front, so the front is enough.
    front = moocore.filter_dominated(best, maximise=True)
    beaten = (front[None] >= theirs[:, None]).all(axis=2).any(axis=1)
    unbeaten: NDArray[np.bool_] = ~beaten & np.isfinite(theirs).all(axis=1)
    return unbeaten


def _regrets(
    rung: _Rung, reports: pd.DataFrame, through: pd.DataFrame, objective: Objective, draws: int
) -> Floats | None:
    """Draws (draws,) of the rung's regret; None where too few were spared."""
    best, ends = _ends(through, objective).max(), _ends(rung.spared, objective)
    early, late = (
        objective.sign * scores_at(reports, part, rung.step, objective.column) for part in (rung.spared, rung.stopped)
    )
    known, asked = np.isfinite(early) & np.isfinite(ends), late[np.isfinite(late)]
    # The audit saw this much for certain, so no draw may fall below it.
    seen = np.full(draws, max(0.0, float((ends - best).max(initial=0.0))))
    # No stopped trial has a score to predict from, so there is nothing to draw.
    if not asked.size:
        return seen
    if known.sum() < FEWEST_FOR_REGRET or not np.isfinite(best):
        return None
    # A generator per rung: its draws do not depend on which other rungs exist.
    drawn = draw_predictions(early[known], ends[known], asked, np.random.default_rng(rung.number), draws)
    # The best stopped trial of each draw: the maximum of many draws exceeds that of their means.
    regrets: Floats = np.maximum(seen, drawn.max(axis=1) - best)
    return regrets


def _rows(
    metric: str,
    rungs: Sequence[_Rung],
    better: Sequence[NDArray[np.bool_]],
    confidence: float,
    drawn: Sequence[Floats | None] = (),
) -> list[dict[str, object]]:
    drawn = drawn or [None] * len(rungs)
    rows = [
        _row(metric, rung.number, rung.step, len(rung.stopped), ahead, regrets, confidence)
        for rung, ahead, regrets in zip(rungs, better, drawn, strict=True)
    ]
    if len(rungs) > 1:
        known = [regrets for regrets in drawn if regrets is not None]
        # The largest regret of any rung, draw by draw.
        worst = np.max(known, axis=0) if len(known) == len(rungs) else None
        stopped = sum(len(rung.stopped) for rung in rungs)
        rows.append(_row(metric, ALL_RUNGS, 0, stopped, np.concatenate(better), worst, confidence))
    return rows


def _row(
    metric: str,
    rung: int,
    step: int,
    stopped: int,
    better: NDArray[np.bool_],
    regrets: Floats | None,
    confidence: float,
) -> dict[str, object]:
    n, count = len(better), int(np.sum(better))
    rate = rate_interval(count, n, confidence) if n else (np.nan, np.nan, np.nan)
    ends = (1 - confidence) / 2
    # In the order of COLUMNS: median, low, high.
    quantiles = (np.nan,) * 3 if regrets is None else np.quantile(regrets, (0.5, ends, 1 - ends))
    return dict(zip(COLUMNS, (metric, rung, step, stopped, n, count, *rate, *quantiles), strict=True))
