"""The certainty of a front: each configuration's chance of being on it, its knee, and its hypervolume."""

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.frontier.configurations import scored_trials
from analysis.ledger.load import Ledger, Objective
from analysis.ledger.units import COSTS
from analysis.statistics.fronts import DRAWS, draw_true_means, hypervolume, knee, on_front, summarize
from analysis.statistics.intervals import Z_95, Floats, Interval

_MOST = 400
"""Most configurations to draw, those nearest to the front; others would hardly ever be on it."""


@dataclass(frozen=True, eq=False)
class Chances:
    """The certainty of the front of a frame. If it cannot be estimated, `why` says so and the rest is NaN or None.

    `front` (n,) is the chance (0 to 1) of each row to be on the true front, NaN for rows that were not drawn; `knee` is
    the row of the knee (None: no knee) and `knee_chance` the chance that it is the knee of the true front.
    `hypervolume` is in units of the box between the front's best values and a tenth of its range beyond its worst. It
    is None if the front has no range, and if it is `narrow`: its points lie so close together that the interval would
    be wider than the box itself.
    """

    front: Floats
    knee: int | None
    knee_chance: float
    hypervolume: Interval | None
    why: str = ""
    narrow: bool = False


def chances(
    ledgers: Sequence[Ledger], frame: pd.DataFrame, objectives: Sequence[Objective], search: bool = False
) -> Chances:
    """The chances of the rows of `frame` (as `rank` gives it, with `run`: the index of its ledger).

    Scores are drawn by `draw_true_means`, and what a network costs from the interval of its timing. The
    same ledgers give the same chances.
    """
    values = frame[[own.column for own in objectives]].to_numpy(dtype=np.float64)
    maximize = [own.maximize for own in objectives]
    own_front = np.flatnonzero(frame["front"])
    finite = np.flatnonzero(np.isfinite(values).all(axis=1))
    # The knee of the means; the draws only tell how sure it is.
    row = _knee(values, frame["front"].to_numpy(), maximize, np.arange(len(frame)))
    near = _nearest(values, finite, maximize)
    try:
        points = _draws(ledgers, frame, objectives, near, search)
    # Too few seeds is a finding, not an error: the front of the means still stands.
    except ValueError as error:
        nothing = np.full(len(frame), np.nan)
        return Chances(nothing, row, float("nan"), None, f"the chances of being on the front are unknown: {error}")
    mask = on_front(points, maximize)
    share = np.full(len(frame), np.nan)
    share[near] = mask.mean(axis=0)
    hit = float("nan")
    if row is not None:
        hit = float(np.mean([_knee(one, on, maximize, near) == row for one, on in zip(points, mask, strict=True)]))
    volume = _volume(values[own_front], points, maximize)
    narrow = volume is not None and volume.high - volume.low > 1
    return Chances(share, row, hit, None if narrow else volume, narrow=narrow)


def chance_lines(found: Chances, frame: pd.DataFrame) -> list[str]:
    """Sentences on the knee and the hypervolume, or on why there are no chances."""
    lines = [found.why] if found.why else []
    if found.knee is not None:
        chance = "" if np.isnan(found.knee_chance) else f", with a chance of {100 * found.knee_chance:.0f} %"
        lines.append(f"knee of the front: {frame['number'].iloc[found.knee]}{chance}")
    if found.hypervolume is not None:
        mean, low, high = (f"{value:.{_decimals(found.hypervolume)}f}" for value in found.hypervolume)
        lines.append(f"hypervolume of the front: {mean} (95 % interval {low} to {high}) of the box around it")
    if found.narrow:
        lines.append("hypervolume of the front: unknown, since its points differ by less than their uncertainty")
    return lines


# --- the steps ---------------------------------------------------------------------------------------------------


def _knee(points: Floats, on: NDArray[np.bool_], maximize: Sequence[bool], rows: NDArray[np.intp]) -> int | None:
    """Which of `rows`, whose values are `points`, is the knee of those that are `on` the front."""
    found = knee(points[on], maximize)
    return None if found is None else int(rows[np.flatnonzero(on)[found]])


def _nearest(values: Floats, finite: NDArray[np.intp], maximize: Sequence[bool]) -> NDArray[np.intp]:
    """At most _MOST of the rows `finite`, in their order: those with the lowest Pareto ranks (moocore)."""
    if len(finite) <= _MOST:
        return finite
    signs = np.where(maximize, -1.0, 1.0)
    rank = moocore.pareto_rank(np.ascontiguousarray(values[finite] * signs))
    return np.sort(finite[np.argsort(rank, kind="stable")[:_MOST]])


def _draws(
    ledgers: Sequence[Ledger],
    frame: pd.DataFrame,
    objectives: Sequence[Objective],
    near: NDArray[np.intp],
    search: bool,
) -> Floats:
    """Draws (draws, near, objectives) of the true values of the rows `near`. Raises ValueError (`draw_true_means`)."""
    # A fixed seed: the same ledgers give the same chances.
    generator = np.random.default_rng(0)
    points = np.empty((DRAWS, len(near), len(objectives)))
    scores = [place for place, own in enumerate(objectives) if own.metric not in COSTS]
    if scores:
        points[:, :, scores] = _scores(ledgers, frame, [objectives[place] for place in scores], near, search, generator)
    for place, own in enumerate(objectives):
        if own.metric in COSTS:
            mean, low, high = (
                frame[f"{part}.{own.metric}"].to_numpy(dtype=np.float64)[near] for part in ("metric", "low", "high")
            )
            # A count of parameters has no interval, and no error.
            error = np.nan_to_num((high - low) / (2 * Z_95))
            points[:, :, place] = generator.normal(mean, error, (DRAWS, len(near)))
    return points


def _scores(
    ledgers: Sequence[Ledger],
    frame: pd.DataFrame,
    objectives: Sequence[Objective],
    near: NDArray[np.intp],
    search: bool,
    generator: np.random.Generator,
) -> Floats:
    """Fit the model to the rows `near` and _MOST random others: from near ones alone, it would be too optimistic."""
    columns = [own.column for own in objectives]
    finite = np.isfinite(frame[columns].to_numpy(dtype=np.float64)).all(axis=1)
    others = np.setdiff1d(np.flatnonzero(finite), near)
    if len(others) > _MOST:
        others = np.sort(generator.choice(others, _MOST, replace=False))
    rows = np.concatenate([near, others])
    keys = zip(frame["run"].iloc[rows], frame["configuration"].iloc[rows], strict=True)
    # The rows `near` come first, so that they can be picked from the draws by the first numbers.
    place = {key: at for at, key in enumerate(keys)}
    parts, members = [], []
    for run, ledger in enumerate(ledgers):
        trials = scored_trials(ledger, search)
        member = trials["configuration"].map(lambda digest, run=run: place.get((run, digest), -1)).to_numpy()
        parts.append(trials[columns].to_numpy(dtype=np.float64)[member >= 0])
        members.append(member[member >= 0])
    seeds = summarize(np.concatenate(parts), np.concatenate(members))
    return draw_true_means(seeds, generator, wanted=np.arange(len(near)))


def _decimals(interval: Interval) -> int:
    """Decimals (2 to 6) for which the ends of the interval differ by at least ten units in the last place."""
    wide = interval.high - interval.low
    return int(np.clip(np.ceil(1 - np.log10(wide)), 2, 6)) if wide > 0 else 2


def _volume(front: Floats, points: Floats, maximize: Sequence[bool]) -> Interval | None:
    span = np.ptp(front, axis=0)
    if (span <= 0).any():
        return None
    least, most = front.min(axis=0), front.max(axis=0)
    # A reference point at the worst values would give the ends of the front no volume of their own.
    best, worst = np.where(maximize, most, least), np.where(maximize, least - span / 10, most + span / 10)
    volumes = [hypervolume(one, maximize, worst, best) for one in points]
    low, middle, high = np.quantile(volumes, [0.025, 0.5, 0.975])
    return Interval(float(middle), float(low), float(high))
