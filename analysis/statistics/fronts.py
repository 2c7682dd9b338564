"""Posterior uncertainty of a Pareto front: draws of the configurations' true means, and what follows from them.

A bootstrap over seeds is not enough. It centers on the observed means, and those on the front are there partly by luck
(the winner's curse). The model here is a normal hierarchical one: the true means of the configurations scatter around a
common center, and the seeds of a configuration around its true mean, with both covariances estimated. So it shrinks a
mean toward the center, more strongly the less its seeds tell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import Floats

DRAWS = 1000  # a chance is known to within 3 percentage points
_BURN_IN = 200  # the chain starts at the observed means, so it settles fast
_WEAK = 2  # degrees of freedom of the prior on the covariance between configurations: worth two configurations
_SPREAD, _NOISE = 1.0, 0.1  # scale of that prior, in units of the observed covariance and of the error of a mean
_RIDGE = 1e-9  # relative, on the diagonal: keeps a singular covariance invertible


class Seeds(NamedTuple):
    """Sufficient statistics of the seeds of k configurations in p scores.

    `means` (..., k, p) are over `counts` (k,) seeds. `scatter` (..., p, p) is the sum over all seeds of the outer
    product of their deviation from the mean of their configuration; it has `degrees` of freedom (seeds minus
    configurations). Leading axes are independent sweeps with equal counts.
    """

    means: Floats
    counts: Floats
    scatter: Floats
    degrees: int


def summarize(values: ArrayLike, configurations: ArrayLike) -> Seeds:
    """Reduce `values` (n, p), one row per seed, to `Seeds`; `configurations` (n,) are indices 0 to k - 1."""
    rows, member = np.asarray(values, dtype=np.float64), np.asarray(configurations, dtype=np.intp)
    counts = np.bincount(member).astype(np.float64)
    means = np.stack([np.bincount(member, column) / counts for column in rows.T], axis=1)
    rest = rows - means[member]
    return Seeds(means, counts, rest.T @ rest, len(rows) - len(counts))


def draw_true_means(
    seeds: Seeds, generator: np.random.Generator, draws: int = DRAWS, wanted: NDArray[np.intp] | None = None
) -> Floats:
    """Posterior draws (draws, ..., k, p) of the true means, by Gibbs sampling of the normal hierarchical model.

    Gelman et al., Bayesian Data Analysis, 3rd edition, chapters 5 and 15. The priors are flat on the center, Jeffreys'
    on the covariance of the seeds, and a weak inverse Wishart on the covariance between configurations. With `wanted`
    only the draws of these configurations (indices) are returned, in that order.

    In simulations (independent, agreeing and opposed scores, and trade-offs; 3 to 12 configurations, 3 to 5 seeds) the
    resulting chances of being on the front are within 5 percentage points of the true frequencies where configurations
    differ at least as much as seeds do, and up to 7 points too low where they differ half as much.

    Raises ValueError for fewer than 2 configurations, for fewer repeated seeds than scores (without repeats the effect
    of the seed is unknown), and where a score is constant.
    """
    k, p = seeds.means.shape[-2:]
    if k < 2 or seeds.degrees < p:
        raise ValueError(f"they need >= 2 configurations and >= {p} repeated seeds, got {k} and {seeds.degrees}")
    # The covariance of the observed means. It overstates that of the true means by the error of a mean.
    between = _outer(seeds.means - seeds.means.mean(axis=-2, keepdims=True)) / (k - 1)
    # Without this, two identical scores, or one that no seed changes, would make the covariance singular.
    scatter = seeds.scatter + np.eye(p) * (_RIDGE * (seeds.scatter + seeds.degrees * between))
    if not (np.diagonal(scatter, axis1=-2, axis2=-1) > 0).all():
        raise ValueError("the true means need scores that differ, but one score is the same everywhere")
    within = scatter / seeds.degrees
    error = within / seeds.counts.mean()
    # Start wide and uncorrelated; the burn-in forgets where the chain started.
    theta, tau, sigma = seeds.means, np.eye(p) * (between + error), within
    found = []
    for step in range(_BURN_IN + draws):
        # A flat prior leaves the mean of the true means, with its standard error.
        center = theta.mean(axis=-2) + _normal(tau / k, generator)
        spread = _outer(theta - center[..., None, :])
        # Conjugate updates: the prior's scale plus the sum of squares, its degrees of freedom plus k.
        tau = _inverse_wishart(_WEAK + k, _SPREAD * between + _NOISE * error + spread, generator)
        # How far the observed means lie from the true ones also says how much seeds vary.
        rest = _outer(seeds.means - theta, seeds.counts)
        sigma = _inverse_wishart(seeds.degrees + k, scatter + rest, generator)
        theta = _given(seeds, center, tau, sigma, generator)
        if step >= _BURN_IN:
            found.append(theta if wanted is None else theta[..., wanted, :])
    return np.stack(found)


def on_front(points: Floats, maximize: Sequence[bool]) -> NDArray[np.bool_]:
    """Which points of each draw (draws, k, p) no other point of the same draw dominates: (draws, k)."""
    # `keep_weakly`: equal points do not dominate each other, so all of them are on the front.
    return np.stack([moocore.is_nondominated(one, maximise=list(maximize), keep_weakly=True) for one in points])


def knee(points: Floats, maximize: Sequence[bool]) -> int | None:
    """The index of the knee of a front (k, p), k >= 1: the point farthest beyond the plane through the front's ends.

    That plane joins the corners that are best in one objective and worst in all others, with each objective in units
    of the front's range (Das, Structural Optimization 18, 1999); the knee has the largest sum of these. The first of
    several ties; None where no point lies beyond the plane, as on a front that bends inward.
    """
    better = points * np.where(maximize, 1.0, -1.0)
    span = np.ptp(better, axis=0)
    shares = (better - better.min(axis=0)) / np.where(span > 0, span, 1.0)
    sums = shares.sum(axis=1)
    # The shares of a point on the plane add up to 1, as do those of the front's ends, but for rounding.
    return int(np.argmax(sums)) if sums.max(initial=0.0) > 1 + 1e-9 else None


def hypervolume(points: Floats, maximize: Sequence[bool], worst: Floats, best: Floats) -> float:
    """The hypervolume (moocore) of points (k, p) with reference point `worst` (p,), in units of the box up to `best`.

    Above 1 where points lie beyond `best` (p,).
    """
    attained = float(moocore.hypervolume(np.ascontiguousarray(points), ref=worst, maximise=list(maximize)))
    return attained / float(np.abs(best - worst).prod())


# --- the steps ---------------------------------------------------------------------------------------------------


def _given(seeds: Seeds, center: Floats, tau: Floats, sigma: Floats, generator: np.random.Generator) -> Floats:
    """One draw of the true means, given center and covariances: normal, between the observed means and the center."""
    sharp, broad = _inverse(sigma)[..., None, :, :], _inverse(tau)[..., None, :, :]
    weight = seeds.counts[:, None, None]
    # Precisions add up: n seeds pull toward the observed mean, the population toward the center.
    covariance = _inverse(weight * sharp + broad)
    pull = weight * (sharp @ seeds.means[..., None]) + broad @ center[..., None, :, None]
    drawn: Floats = (covariance @ pull)[..., 0] + _normal(covariance, generator)
    return drawn


def _outer(rows: Floats, weights: Floats | None = None) -> Floats:
    """The sum of the outer products (..., p, p) of the rows (..., k, p), weighted by (k,)."""
    weighed = rows if weights is None else rows * weights[:, None]
    product: Floats = np.swapaxes(weighed, -1, -2) @ rows
    return product


def _normal(covariance: Floats, generator: np.random.Generator) -> Floats:
    root = np.linalg.cholesky(_symmetric(covariance))
    drawn: Floats = (root @ generator.normal(size=(*covariance.shape[:-1], 1)))[..., 0]
    return drawn


def _inverse_wishart(degrees: float, scale: Floats, generator: np.random.Generator) -> Floats:
    """One draw per matrix of `scale` (..., p, p), by Bartlett's decomposition; scipy's accepts a single matrix only."""
    p = scale.shape[-1]
    root = np.linalg.cholesky(_symmetric(_inverse(scale)))
    # The factor of a standard Wishart matrix: normal below the diagonal, chi with falling degrees of freedom on it.
    lower = np.tril(generator.normal(size=scale.shape), -1)
    lower[..., range(p), range(p)] = np.sqrt(generator.chisquare(degrees - np.arange(p), (*scale.shape[:-2], p)))
    half = root @ lower
    return _inverse(half @ np.swapaxes(half, -1, -2))


def _inverse(matrices: Floats) -> Floats:
    found: Floats = np.linalg.inv(matrices).astype(np.float64, copy=False)
    return found


def _symmetric(matrices: Floats) -> Floats:
    """`matrices` without the asymmetry that rounding leaves in an inverse."""
    return (matrices + np.swapaxes(matrices, -1, -2)) / 2
