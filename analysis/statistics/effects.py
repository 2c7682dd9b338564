"""Effects from paired differences, and Holm's correction for multiple testing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from analysis.statistics.intervals import Floats, mean_interval_from_spread


class Effects(NamedTuple):
    """k effects in the unit of the values: means, ends of their t intervals, two-sided p values; all (k,)."""

    mean: Floats
    low: Floats
    high: Floats
    p: Floats


def paired_effects(differences: ArrayLike, confidence: float = 0.95) -> Effects:
    """Means of paired differences (k, n), one column per seed, with Student's t intervals and p values.

    The two trials of a pair share their seed, and so their initial weights and the order of the data: those effects
    cancel out. Interval and p are NaN for fewer than 2 pairs and where a difference is not finite. If all differences
    of a row are equal, p is 0, or 1 where they are 0.
    """
    rows = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    n = rows.shape[1]
    # numpy would warn of an empty mean and of a spread without degrees of freedom.
    mean = rows.mean(axis=1) if n else np.full(len(rows), np.nan)
    spread = rows.std(axis=1, ddof=1) if n >= 2 else np.full(len(rows), np.nan)
    low, high = mean_interval_from_spread(mean, spread, n, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean) / (spread / np.sqrt(n))
    # 0 / 0: no effect at all, not an unknown one.
    t = np.where((spread == 0) & (mean == 0), 0.0, t)
    p = 2 * stdtr(n - 1, -t) if n >= 2 else np.full(len(rows), np.nan)
    return Effects(mean, low, high, p)


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p values (k,) (Scandinavian Journal of Statistics 6, 1979). NaN stays NaN and is not counted.

    Rejecting where the adjusted value is below 0.05 keeps the family-wise error rate at 5 % under any dependence.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted, known = np.full(values.shape, np.nan), np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    # The smallest of m p values times m, the next times m - 1, ...; then made monotonic.
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return adjusted
