"""Rank correlation of observations that stand for different numbers of equal ones."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Floats

RESAMPLES = 2000


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
