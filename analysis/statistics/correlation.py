"""Weighted rank correlation with a bootstrap interval."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Floats

RESAMPLES = 2000  # 50 of them lie beyond each end of a 95 % interval


def weighted_spearman(x: ArrayLike, y: ArrayLike, weights: ArrayLike) -> float:
    """Spearman's rank correlation (-1 to 1) of n pairs, with `weights` (n,) >= 0.

    A value's rank is the total weight of all smaller values plus half that of its ties. With weights of 1 this is the
    usual midrank (minus a constant); with integer weights, the rank in a list that repeats each pair that often. NaN
    where x or y does not vary among the pairs of positive weight.
    """
    w = np.asarray(weights, dtype=np.float64)
    # Spearman's correlation is Pearson's of the ranks.
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
    """The percentile bootstrap interval of `weighted_spearman`; whole `groups` (n,) are drawn with replacement.

    The seeds of a configuration form one group, since they are not independent of each other. Resamples in which x or
    y does not vary have no correlation and are skipped; both ends are NaN where no resample has one.
    """
    w = np.asarray(weights, dtype=np.float64)
    # Sorted once: weights change the ranks, but not the order of the values.
    places = [np.unique(np.asarray(values), return_inverse=True)[1] for values in (x, y)]
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(member.max()) + 1
    drawn = np.empty(resamples)
    for index in range(resamples):
        # Multiplying the weights by how often a group was drawn is the same as repeating its rows, and faster.
        times = w * np.bincount(generator.integers(count, size=count), minlength=count)[member]
        drawn[index] = _correlation(_weighted_ranks(places[0], times), _weighted_ranks(places[1], times), times)
    # Few seeds can leave resamples of a single repeated value.
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _weighted_ranks(places: NDArray[np.intp], weights: Floats) -> Floats:
    """Weighted midranks (n,); `places` (n,) are the values as indices into their sorted distinct values."""
    total = np.bincount(places, weights=weights)
    ranks: Floats = (np.cumsum(total) - total / 2)[places]
    return ranks


def _correlation(x: Floats, y: Floats, weights: Floats) -> float:
    """Pearson's weighted correlation; NaN where x or y does not vary."""
    kept = weights > 0
    if not kept.any() or np.ptp(x[kept]) == 0 or np.ptp(y[kept]) == 0:
        return float("nan")
    x, y = (values - np.average(values, weights=weights) for values in (x, y))
    covariance = (weights * x * y).sum()
    return float(covariance / np.sqrt((weights * x * x).sum() * (weights * y * y).sum()))
