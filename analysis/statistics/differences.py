"""Differences between two sides: means over seeds, rates, and any two estimates with intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, stdtr, stdtrit

from analysis.statistics.effects import paired_effects
from analysis.statistics.intervals import Floats, rate_intervals

PAIRED, WELCH, ONE, NONE = "paired", "Welch", "one seed", "none"


class Difference(NamedTuple):
    """The mean of b minus the mean of a, in the unit of the values, with its interval and two-sided p value.

    `method` is PAIRED, WELCH, ONE (one side has a single value) or NONE (neither interval nor p: NaN). `n` counts the
    pairs, or without pairs the values on both sides.
    """

    mean: float
    low: float
    high: float
    p: float
    method: str
    n: int


def seeds_difference(
    a: ArrayLike, b: ArrayLike, a_seeds: ArrayLike, b_seeds: ArrayLike, confidence: float = 0.95
) -> Difference:
    """b minus a, given one value per seed on either side (n,) and (m,), each seed once.

    Where the sides share at least two seeds, and at least half of the shorter side's seeds, the test is paired on the
    shared seeds (PAIRED): effects of the seed that both sides share cancel out. Otherwise all values count, as in
    `unpaired_difference`. The choice depends on the seeds alone, never on the values, so it cannot favor a result.
    Raises ValueError for an empty side.
    """
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _, here, there = np.intersect1d(a_seeds, b_seeds, assume_unique=True, return_indices=True)
    # Pairing on a few shared seeds would discard most of the values.
    if here.size < 2 or 2 * here.size < min(one.size, other.size):
        return unpaired_difference(one, other, confidence)
    mean, low, high, p = (float(part[0]) for part in paired_effects(other[there] - one[here], confidence))
    return Difference(mean, low, high, p, PAIRED, int(here.size))


def unpaired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Difference:
    """b minus a, for independent values (n,) and (m,): Welch's t interval with Satterthwaite's degrees of freedom.

    A side with a single value is assumed to vary as much as the other side (ONE): Student's t test with equal
    variances. With one value on each side the spread is unknown, and there is no interval (NONE). If neither side
    varies, p is 0, or 1 where the sides are equal. Raises ValueError for an empty side.
    """
    one, other = (np.asarray(side, dtype=np.float64).ravel() for side in (a, b))
    if not one.size or not other.size:
        raise ValueError(f"a difference needs values on both sides, got {one.size} and {other.size}")
    mean, n = float(other.mean() - one.mean()), one.size + other.size
    if n == 2:
        return Difference(mean, np.nan, np.nan, np.nan, NONE, n)
    several = [side for side in (one, other) if side.size >= 2]
    if len(several) == 1:
        spread, degrees = float(several[0].std(ddof=1)), float(several[0].size - 1)
        error, method = spread * np.sqrt(1 / one.size + 1 / other.size), ONE
    else:
        parts = np.asarray([side.var(ddof=1) / side.size for side in several])
        error, method = float(np.sqrt(parts.sum())), WELCH
        below = float(sum(part**2 / (side.size - 1) for part, side in zip(parts, several, strict=True)))
        # Satterthwaite's approximation: the degrees of freedom of a sum of two independent variances.
        # If neither side varies, the interval has width 0 whatever the degrees of freedom.
        degrees = float(parts.sum() ** 2 / below) if below > 0 else float(n - 2)
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, method, n)


def estimates_difference(
    a: tuple[ArrayLike, ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> tuple[Floats, Floats, Floats]:
    """b minus a with the ends of its interval, for two independent estimates (value, low, high).

    Method of variance estimates recovery (MOVER; Zou and Donner, Statistics in Medicine 27, 2008): the distances from
    estimate to end add up as squares, separately on each side, so the intervals need not be symmetric. The result has
    the confidence level of the inputs.
    """
    one, other = (tuple(np.asarray(part, dtype=np.float64) for part in side) for side in (a, b))
    mean = other[0] - one[0]
    low = mean - np.sqrt((other[0] - other[1]) ** 2 + (one[2] - one[0]) ** 2)
    high = mean + np.sqrt((other[2] - other[0]) ** 2 + (one[0] - one[1]) ** 2)
    return mean, low, high


def rate_differences(
    a: ArrayLike, n_a: ArrayLike, b: ArrayLike, n_b: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """The rate b / n_b minus a / n_a with Newcombe's interval. Arrays are broadcast together; NaN where n is 0.

    Newcombe's tenth method (Statistics in Medicine 17, 1998): two Wilson intervals combined by `estimates_difference`.
    Raises ValueError unless 0 <= counts <= n.
    """
    sides = []
    for count, size in ((a, n_a), (b, n_b)):
        total = np.asarray(size, dtype=np.float64)
        rate = np.asarray(count, dtype=np.float64) / np.where(total > 0, total, np.nan)
        sides.append((rate, *rate_intervals(count, size, confidence)))
    return estimates_difference(sides[0], sides[1])


def mcnemar_p(only_a: int, only_b: int) -> float:
    """McNemar's exact two-sided p value (0 to 1) for paired yes/no outcomes.

    `only_a` and `only_b` count the discordant pairs, in which the event happened on one side alone. 1 without any.
    """
    # Twice the smaller tail of a fair coin. At a tie the middle is in both tails, so that the sum exceeds 1.
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
