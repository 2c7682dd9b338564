"""Intervals: numbers in, numbers out; a thin, checked layer over the quantiles of scipy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtri, stdtrit  # quantiles; all of scipy.stats takes 0.6 s longer to load

Floats = NDArray[np.float64]


Z_95 = float(ndtri(0.975))
"""Half a 95 % interval of a normal distribution, in standard deviations."""


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values (one per seed).

    Raises ValueError for fewer than 2 values and for values that are not finite: a diverged seed is an ending to be
    counted, not a number to be left out of a mean.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size < 2:
        raise ValueError(f"an interval of a mean needs one row of at least 2 values, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"an interval of a mean needs finite values, got {numbers[~np.isfinite(numbers)][0]}")
    mean = numbers.mean()
    low, high = mean_interval_from_spread(mean, numbers.std(ddof=1), numbers.size, confidence)
    return Interval(float(mean), float(low), float(high))


def mean_interval_from_spread(
    mean: ArrayLike, spread: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Low and high end of the t interval of means of `n` independent values whose standard deviation is `spread`.

    Arrays are broadcast together. `spread` is the sample standard deviation (n - 1). Where a mean or spread is not
    finite or n < 2 there is no interval, and both ends are NaN. Raises ValueError for a confidence outside (0, 1) and
    for a negative spread.
    """
    _check_confidence(confidence)
    centre, deviation, count = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(spread, dtype=np.float64), np.asarray(n, dtype=np.float64)
    )
    if (deviation < 0).any():
        raise ValueError(f"a spread must be >= 0, got {deviation[deviation < 0][0]}")
    known = np.isfinite(centre) & np.isfinite(deviation) & (count >= 2)
    safe = np.where(known, count, 2.0)
    half = stdtrit(safe - 1, 0.5 + confidence / 2) * np.where(known, deviation, np.nan) / np.sqrt(safe)
    middle = np.where(known, centre, np.nan)
    return middle - half, middle + half


def rate_interval(count: int, n: int, confidence: float = 0.95) -> Interval:
    """The rate count / n with Wilson's interval; see `rate_intervals`.

    Raises ValueError unless 0 <= count <= n and n >= 1, and for a confidence outside (0, 1).
    """
    if not (n >= 1 and 0 <= count <= n):
        raise ValueError(f"a rate needs 0 <= count <= n and n >= 1, got count={count}, n={n}")
    low, high = rate_intervals(count, n, confidence)
    return Interval(count / n, float(low), float(high))


def rate_intervals(counts: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Low and high ends of Wilson's interval of the rates counts / n, arrays broadcast together; NaN where n is 0.

    E. B. Wilson, JASA 22, 1927. scipy's binomtest gives the same for one rate, and a p value that nobody asked for:
    with a million trials that takes a second. Raises ValueError unless 0 <= counts <= n, and for a confidence outside
    (0, 1).
    """
    _check_confidence(confidence)
    count, size = np.broadcast_arrays(np.asarray(counts, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if ((count < 0) | (count > size)).any():
        raise ValueError("rates need 0 <= count <= n")
    z = float(ndtri(0.5 + confidence / 2))
    total = np.where(size > 0, size, np.nan)
    centre = (count + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * np.sqrt(count * (total - count) / total + z**2 / 4)
    low, high = np.where(count == 0, 0.0, centre - half), np.where(count == size, 1.0, centre + half)
    return np.where(size > 0, low, np.nan), np.where(size > 0, high, np.nan)


def spread_interval(spread: ArrayLike, degrees: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Low and high end of the interval of a standard deviation, in the unit of the values.

    `spread` is the sample standard deviation, pooled over groups or not, with `degrees` of freedom (values less
    groups). The chi-squared interval: exact for normal values, too narrow for such with heavy tails. Both ends are NaN
    for fewer than 1 degree. Raises ValueError for a negative spread.
    """
    _check_confidence(confidence)
    deviation, df = np.broadcast_arrays(np.asarray(spread, dtype=np.float64), np.asarray(degrees, dtype=np.float64))
    if (deviation < 0).any():
        raise ValueError(f"a spread must be >= 0, got {deviation[deviation < 0][0]}")
    known = np.where(df >= 1, df, np.nan)
    tail = (1 - confidence) / 2  # chdtri gives the value that a chi-squared variable exceeds with this probability
    return deviation * np.sqrt(known / chdtri(known, tail)), deviation * np.sqrt(known / chdtri(known, 1 - tail))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"0 < confidence < 1 must hold, got {confidence}")
