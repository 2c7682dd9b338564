"""Effects from pairs, and the correction for asking many questions at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from analysis.statistics.intervals import Floats, mean_interval_from_spread


class Effects(NamedTuple):
    """k effects in the unit of the values: means, ends of their t intervals, and two-sided p values, all (k,)."""

    mean: Floats
    low: Floats
    high: Floats
    p: Floats


def paired_effects(differences: ArrayLike, confidence: float = 0.95) -> Effects:
    """The means of k rows of n paired differences (k, n), one per seed, with Student's t intervals and p values.

    A pair shares its seed, and with it first weights and order of the data, so what the seed does to both sides drops
    out. With fewer than 2 pairs, or a difference that is not finite, interval and p are NaN. Differences that are all
    equal have p = 0, or 1 where they are 0.
    """
    rows = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    n = rows.shape[1]
    mean = rows.mean(axis=1) if n else np.full(len(rows), np.nan)
    spread = rows.std(axis=1, ddof=1) if n >= 2 else np.full(len(rows), np.nan)
    low, high = mean_interval_from_spread(mean, spread, n, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean) / (spread / np.sqrt(n))
    t = np.where((spread == 0) & (mean == 0), 0.0, t)
    p = 2 * stdtr(n - 1, -t) if n >= 2 else np.full(len(rows), np.nan)
    return Effects(mean, low, high, p)


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p values (k,) (Scandinavian Journal of Statistics 1979); NaN stays and is no question asked.

    Calling an effect real where its adjusted value is below 0.05 calls any at all wrongly in at most 5 % of families,
    however they depend on each other.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted, known = np.full(values.shape, np.nan), np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return adjusted
