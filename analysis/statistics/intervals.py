"""Confidence intervals of means, rates and standard deviations: a thin, checked layer over scipy's quantiles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The quantile functions alone: scipy.stats takes 0.6 s longer to import.
from scipy.special import chdtri, ndtri, stdtrit

Floats = NDArray[np.float64]


Z_95 = float(ndtri(0.975))
"""Half the width of a normal distribution's 95 % interval, in standard deviations."""


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean of n >= 2 independent values (one per seed).

    Raises ValueError for fewer than 2 values and for values that are not finite: a diverged seed must be counted as an
    ending, not silently dropped from a mean.
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
    """Low and high end of the t interval of means of `n` independent values, from their standard deviation `spread`.

    Arrays are broadcast together. `spread` is the sample standard deviation (n - 1 in the denominator). Both ends are
    NaN where mean or spread is not finite or n < 2. Raises ValueError for a confidence outside (0, 1) and for a
    negative spread.
    """
    _check_confidence(confidence)
    center, deviation, count = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(spread, dtype=np.float64), np.asarray(n, dtype=np.float64)
    )
    if (deviation < 0).any():
        raise ValueError(f"a spread must be >= 0, got {deviation[deviation < 0][0]}")
    known = np.isfinite(center) & np.isfinite(deviation) & (count >= 2)
    # Any valid number of degrees of freedom will do here: where `known` is false, the NaN deviation decides.
    safe = np.where(known, count, 2.0)
    half = stdtrit(safe - 1, 0.5 + confidence / 2) * np.where(known, deviation, np.nan) / np.sqrt(safe)
    middle = np.where(known, center, np.nan)
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
    """Low and high ends (0 to 1) of Wilson's interval of the rates counts / n, arrays broadcast; NaN where n is 0.

    E. B. Wilson, JASA 22, 1927. scipy's binomtest gives the same interval for a single rate, but always computes a p
    value as well, which takes a second for a million trials. Raises ValueError unless 0 <= counts <= n, and for a
    confidence outside (0, 1).
    """
    _check_confidence(confidence)
    count, size = np.broadcast_arrays(np.asarray(counts, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if ((count < 0) | (count > size)).any():
        raise ValueError("rates need 0 <= count <= n")
    # The textbook interval, rate +- z standard errors, has no width at 0 of n, the very case that stability asks about.
    z = float(ndtri(0.5 + confidence / 2))
    total = np.where(size > 0, size, np.nan)
    center = (count + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * np.sqrt(count * (total - count) / total + z**2 / 4)
    # At 0 and n the ends are exact; rounding must not move them past 0 or 1.
    low, high = np.where(count == 0, 0.0, center - half), np.where(count == size, 1.0, center + half)
    return np.where(size > 0, low, np.nan), np.where(size > 0, high, np.nan)


def spread_interval(spread: ArrayLike, degrees: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Low and high end of the chi-squared interval of a standard deviation, in the unit of the values.

    `spread` is the sample standard deviation, possibly pooled over groups, with `degrees` of freedom (values minus
    groups). Exact for normal values, too narrow for heavy-tailed ones. Both ends are NaN for fewer than 1 degree of
    freedom. Raises ValueError for a negative spread.
    """
    _check_confidence(confidence)
    deviation, df = np.broadcast_arrays(np.asarray(spread, dtype=np.float64), np.asarray(degrees, dtype=np.float64))
    if (deviation < 0).any():
        raise ValueError(f"a spread must be >= 0, got {deviation[deviation < 0][0]}")
    known = np.where(df >= 1, df, np.nan)
    # chdtri inverts the upper tail, so the small tail gives the large quantile and with it the low end.
    tail = (1 - confidence) / 2
    return deviation * np.sqrt(known / chdtri(known, tail)), deviation * np.sqrt(known / chdtri(known, 1 - tail))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"0 < confidence < 1 must hold, got {confidence}")
