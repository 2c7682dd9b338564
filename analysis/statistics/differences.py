"""Whether two sides differ: means over seeds, rates of endings, and any two estimates with intervals of their own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, stdtr, stdtrit

from analysis.statistics.effects import paired_effects
from analysis.statistics.intervals import Floats, rate_intervals

PAIRED, WELCH, ONE, NONE = "paired", "Welch", "one seed", "none"


class Difference(NamedTuple):
    """The mean of b less that of a, in the unit of the values, with its interval and two-sided p value.

    `method` is PAIRED, WELCH, ONE or NONE (no interval and no p: both NaN); `n` counts the pairs, or the values of both
    sides together.
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
    """b less a, of one value per seed on either side (n,) and (m,), each seed once.

    Where the sides share two seeds or more, and no fewer than half of the shorter side's, the differences on the shared
    seeds decide (PAIRED): what the seed does to both drops out. Otherwise all values do, as `unpaired_difference` has
    it. Which of both depends on the seeds alone, never on the values. Raises ValueError for an empty side.
    """
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _, here, there = np.intersect1d(a_seeds, b_seeds, assume_unique=True, return_indices=True)
    if here.size < 2 or 2 * here.size < min(one.size, other.size):
        return unpaired_difference(one, other, confidence)
    mean, low, high, p = (float(part[0]) for part in paired_effects(other[there] - one[here], confidence))
    return Difference(mean, low, high, p, PAIRED, int(here.size))


def unpaired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Difference:
    """b less a, of independent values (n,) and (m,): Welch's t interval with Satterthwaite's degrees of freedom.

    Where one side has a single value, its spread is taken to be the other side's (ONE): Student's t for two samples of
    equal variance. With one value on each side there is no spread to tell, and no interval (NONE). Values that do not
    vary at all have p = 0, or 1 where both sides are equal. Raises ValueError for an empty side.
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
        degrees = float(parts.sum() ** 2 / below) if below > 0 else float(n - 2)
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, method, n)


def estimates_difference(
    a: tuple[ArrayLike, ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> tuple[Floats, Floats, Floats]:
    """b less a and the ends of its interval, of independent estimates (value, low, high) with intervals of their own.

    The distances to the ends are added as squares, each on its side, so that intervals need not be symmetric: the
    method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27, 2008). The result has the
    confidence of the parts.
    """
    one, other = (tuple(np.asarray(part, dtype=np.float64) for part in side) for side in (a, b))
    mean = other[0] - one[0]
    low = mean - np.sqrt((other[0] - other[1]) ** 2 + (one[2] - one[0]) ** 2)
    high = mean + np.sqrt((other[2] - other[0]) ** 2 + (one[0] - one[1]) ** 2)
    return mean, low, high


def rate_differences(
    a: ArrayLike, n_a: ArrayLike, b: ArrayLike, n_b: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """The rates b / n_b less a / n_a and the ends of Newcombe's interval, arrays broadcast together; NaN where n is 0.

    Newcombe's tenth method (Statistics in Medicine 17, 1998): the two Wilson intervals, as `estimates_difference` joins
    them. Raises ValueError unless 0 <= counts <= n.
    """
    sides = []
    for count, size in ((a, n_a), (b, n_b)):
        total = np.asarray(size, dtype=np.float64)
        rate = np.asarray(count, dtype=np.float64) / np.where(total > 0, total, np.nan)
        sides.append((rate, *rate_intervals(count, size, confidence)))
    return estimates_difference(sides[0], sides[1])


def mcnemar_p(only_a: int, only_b: int) -> float:
    """How likely it is that so many pairs, or more, fall on one side, if either side is as likely: McNemar's exact p.

    `only_a` and `only_b` are the pairs in which something happened on one side alone. Without any, 1.
    """
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
