"""What is not known of a front as long as the means over seeds are not: draws of the true means, and what follows.

Resampling the seeds is not enough. It takes the means as they were found for the middle of what is possible, and those
on the front were found there in part because they were lucky. The model here knows that: the true means of the
configurations spread around a common centre, the seeds of each around its true mean, both normally and with covariances
that are estimated too. So a mean is drawn towards the centre, and the more so the less its seeds say.
"""

from collections.abc import Sequence
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Floats

DRAWS = 1000
_BURN_IN = 200
_WEAK = 2  # degrees of freedom of the prior of the spread between configurations: two rows' worth
_SPREAD, _NOISE = 1.0, 0.1  # its scale: so much of the spread that was found, and of the error of a mean

_RIDGE = 1e-9


class Seeds(NamedTuple):
    """What the seeds of k configurations say of p scores: all that the model needs of them.

    `means` (..., k, p) over `counts` (k,) seeds, and `scatter` (..., p, p), the sum over all seeds of the outer product
    of their difference to the mean of their configuration, with `degrees` of freedom (seeds less configurations).
    Leading axes are sweeps that are alike in their counts and have nothing else to do with each other.
    """

    means: Floats
    counts: Floats
    scatter: Floats
    degrees: int


def summarize(values: ArrayLike, configurations: ArrayLike) -> Seeds:
    """The summary of `values` (n, p), a row per seed; `configurations` (n,) has the number of each row's, from 0 on."""
    rows, member = np.asarray(values, dtype=np.float64), np.asarray(configurations, dtype=np.intp)
    counts = np.bincount(member).astype(np.float64)
    means = np.stack([np.bincount(member, column) / counts for column in rows.T], axis=1)
    rest = rows - means[member]
    return Seeds(means, counts, rest.T @ rest, len(rows) - len(counts))


def draw_true_means(
    seeds: Seeds, generator: np.random.Generator, draws: int = DRAWS, wanted: NDArray[np.intp] | None = None
) -> Floats:
    """Draws (draws, ..., k, p) of the true means given the seeds: Gibbs sampling of the normal hierarchical model.

    Gelman et al., Bayesian Data Analysis, 3rd edition, chapters 5 and 15; flat in the centre and the seeds' covariance
    (Jeffreys), a weak inverse Wishart for that between configurations. With `wanted` the means of these configurations
    alone are drawn, in that order.

    By simulation (independent, agreeing and opposed scores, and trade-offs; 3 to 12 configurations, 3 to 5 seeds), the
    chances of being on the front that follow are within 5 points of the shares that are, where configurations differ at
    least as much as seeds do; where they differ half as much, up to 7 points too low.

    Raises ValueError for fewer than 2 configurations, for fewer repeated seeds than scores, since without them nothing
    is known of what a seed decides, and where a score is the same everywhere.
    """
    k, p = seeds.means.shape[-2:]
    if k < 2 or seeds.degrees < p:
        raise ValueError(f"{k} configurations have {seeds.degrees} seeds beyond one each; 2 and {p} are needed")
    between = _outer(seeds.means - seeds.means.mean(axis=-2, keepdims=True)) / (k - 1)
    # Two scores that are one, or one that seeds leave as it is, would have no inverse.
    scatter = seeds.scatter + np.eye(p) * (_RIDGE * (seeds.scatter + seeds.degrees * between))
    if not (np.diagonal(scatter, axis1=-2, axis2=-1) > 0).all():
        raise ValueError("that takes scores that differ, and one is the same everywhere")
    within = scatter / seeds.degrees
    error = within / seeds.counts.mean()
    theta, tau, sigma = seeds.means, np.eye(p) * (between + error), within
    found = []
    for step in range(_BURN_IN + draws):
        centre = theta.mean(axis=-2) + _normal(tau / k, generator)
        spread = _outer(theta - centre[..., None, :])
        tau = _inverse_wishart(_WEAK + k, _SPREAD * between + _NOISE * error + spread, generator)
        rest = _outer(seeds.means - theta, seeds.counts)
        sigma = _inverse_wishart(seeds.degrees + k, scatter + rest, generator)
        theta = _given(seeds, centre, tau, sigma, generator)
        if step >= _BURN_IN:
            found.append(theta if wanted is None else theta[..., wanted, :])
    return np.stack(found)


def on_front(points: Floats, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Which of the points of each draw (draws, k, p) no other one of that draw beats, (draws, k)."""
    return np.stack([moocore.is_nondominated(one, maximise=list(maximise), keep_weakly=True) for one in points])


def knee(points: Floats, maximise: Sequence[bool]) -> int | None:
    """Which of the points (k, p) of a front, k >= 1, lies farthest beyond the plane through its ends.

    That plane joins the points that are best in one objective and worst in the others, each objective in units of the
    front's range (Das, Structural Optimization 18, 1999): the knee has the largest sum. Of equals the first; None
    where no point lies beyond it, as on a front that bends inwards.
    """
    better = points * np.where(maximise, 1.0, -1.0)
    span = np.ptp(better, axis=0)
    shares = (better - better.min(axis=0)) / np.where(span > 0, span, 1.0)
    sums = shares.sum(axis=1)
    return int(np.argmax(sums)) if sums.max(initial=0.0) > 1 + 1e-9 else None


def hypervolume(points: Floats, maximise: Sequence[bool], worst: Floats, best: Floats) -> float:
    """The hypervolume (moocore) that points (k, p) attain beyond `worst` (p,), in units of the box from it to `best`.

    Above 1 where points lie beyond `best`.
    """
    attained = float(moocore.hypervolume(np.ascontiguousarray(points), ref=worst, maximise=list(maximise)))
    return attained / float(np.abs(best - worst).prod())


# --- the steps ---------------------------------------------------------------------------------------------------


def _given(seeds: Seeds, centre: Floats, tau: Floats, sigma: Floats, generator: np.random.Generator) -> Floats:
    """The true means, the centre and both covariances being known: normal, between the means found and the centre."""
    sharp, broad = _inverse(sigma)[..., None, :, :], _inverse(tau)[..., None, :, :]
    weight = seeds.counts[:, None, None]
    covariance = _inverse(weight * sharp + broad)
    pull = weight * (sharp @ seeds.means[..., None]) + broad @ centre[..., None, :, None]
    drawn: Floats = (covariance @ pull)[..., 0] + _normal(covariance, generator)
    return drawn


def _outer(rows: Floats, weights: Floats | None = None) -> Floats:
    """The sum over the rows (..., k, p) of their outer products (..., p, p), each times its weight (k,)."""
    weighed = rows if weights is None else rows * weights[:, None]
    product: Floats = np.swapaxes(weighed, -1, -2) @ rows
    return product


def _normal(covariance: Floats, generator: np.random.Generator) -> Floats:
    root = np.linalg.cholesky(_symmetric(covariance))
    drawn: Floats = (root @ generator.normal(size=(*covariance.shape[:-1], 1)))[..., 0]
    return drawn


def _inverse_wishart(degrees: float, scale: Floats, generator: np.random.Generator) -> Floats:
    """One draw for each matrix of `scale` (..., p, p), by Bartlett's decomposition; scipy's takes one matrix."""
    p = scale.shape[-1]
    root = np.linalg.cholesky(_symmetric(_inverse(scale)))
    lower = np.tril(generator.normal(size=scale.shape), -1)
    lower[..., range(p), range(p)] = np.sqrt(generator.chisquare(degrees - np.arange(p), (*scale.shape[:-2], p)))
    half = root @ lower
    return _inverse(half @ np.swapaxes(half, -1, -2))


def _inverse(matrices: Floats) -> Floats:
    found: Floats = np.linalg.inv(matrices).astype(np.float64, copy=False)
    return found


def _symmetric(matrices: Floats) -> Floats:
    return (matrices + np.swapaxes(matrices, -1, -2)) / 2
