"""The best color correction of its kind, in closed form: a `polynomial` network fitted to pairs by ridge regression.

It is what a user gets in a second and without a training step, so it is the yardstick of everything that is trained.
The fit minimizes the mean squared error of the output before clipping plus a penalty that pulls the correction toward
none. Its normal equations are summed over the pairs in float64, a few pairs at a time, so memory does not grow with
their number; the result depends on nothing but the pairs and their order.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from enhance.config.fast_nets import PolynomialConfig
from enhance.data.batches import Pictures
from enhance.nets.fast.polynomial import Polynomial
from enhance.training.feed import to_images

RIDGE = 1e-5
"""The strength of the penalty, chosen by 5-fold cross-validation on 300 pairs of DPED; see DECISIONS.md."""

_PAIRS = 8  # at a time


def fit(
    source: Pictures, target: Pictures, config: PolynomialConfig | None = None, *, ridge: float = RIDGE
) -> Polynomial:
    """Fit a polynomial network to pairs (N, H, W, 3), on the CPU; picture i of `source` belongs to that of `target`.

    `ridge` (> 0) is added, per pixel, to the diagonal of the normal equations in which the statistics of the pictures
    have mean 0 and deviation 1. So it means the same for any number, size and brightness of pairs. Raises ValueError
    if there are no pairs or the sides differ in number.
    """
    if not len(source) or len(source) != len(target):
        raise ValueError(f"a fit needs pairs: {len(source)} inputs and {len(target)} targets were given")
    net = Polynomial(config or PolynomialConfig(), torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    # The order of the sums, and so the last bits of the result, must not depend on the number of threads.
    torch.set_num_threads(1)
    try:
        solved = _solve(*_sums(net, source, target), ridge)
    finally:
        torch.set_num_threads(threads)
    with torch.no_grad():
        net.coefficients.copy_(solved)
    return net.eval()


def _sums(net: Polynomial, source: Pictures, target: Pictures) -> tuple[Tensor, Tensor, Tensor]:
    """Means over the pixels of s s' m m', (S, S, M, M), and s m d, (S, M, 3), and over the pictures of s s', (S, S).

    s are the statistics, m the monomials, d the differences of target and source.
    """
    monomials, statistics = net.coefficients.shape[1:]
    products = torch.zeros(statistics, statistics, monomials, monomials, dtype=torch.float64)
    moments = torch.zeros(statistics, monomials, 3, dtype=torch.float64)
    seen = torch.zeros(statistics, statistics, dtype=torch.float64)
    for x, y in _parts(source, target):
        s, m = net.seen(x), net.monomials(x.flatten(2))
        # Per picture first: statistics are the same for all of its pixels.
        inner = m @ m.transpose(1, 2) / m.shape[2]
        products += torch.einsum("na,nb,nij->abij", s, s, inner)
        moments += torch.einsum("na,nmc->amc", s, m @ (y - x).flatten(2).transpose(1, 2) / m.shape[2])
        seen += s.T @ s
    return products / len(source), moments / len(source), seen / len(source)


def _parts(source: Pictures, target: Pictures) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(0, len(source), _PAIRS):
        part = slice(first, first + _PAIRS)
        # Copied: torch warns of a view of a mapped file, which a single picture may be.
        yield to_images(np.array(source[part])).double(), to_images(np.array(target[part])).double()


def _solve(products: Tensor, moments: Tensor, seen: Tensor, ridge: float) -> Tensor:
    """The coefficients (3, M, S) that minimize the penalized error."""
    standard = _standardizing(seen)
    products = torch.einsum("ac,bd,cdij->aibj", standard, standard, products)
    moments = torch.einsum("ac,cmk->amk", standard, moments)
    statistics, monomials = moments.shape[:2]
    size = statistics * monomials
    penalized = products.reshape(size, size) + ridge * torch.eye(size, dtype=torch.float64)
    solved = torch.cholesky_solve(moments.reshape(size, 3), torch.linalg.cholesky(penalized))
    # Back to the statistics as the network sees them.
    return torch.einsum("ac,amk->kmc", standard, solved.reshape(statistics, monomials, 3))


def _standardizing(seen: Tensor) -> Tensor:
    """The matrix that gives the statistics mean 0 and deviation 1 over the pictures; the first is the constant 1."""
    mean = seen[0]
    deviation = (seen.diagonal() - mean.square()).clamp_min(0).sqrt()
    # Alike in all pictures, as in a single one: nothing depends on it.
    scale = torch.where(deviation > 1e-6, 1 / deviation.clamp_min(1e-6), 0.0)
    scale[0] = 1.0
    matrix = torch.diag(scale)
    matrix[1:, 0] = -mean[1:] * scale[1:]
    return matrix
