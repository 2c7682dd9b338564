"""Posterior predictive draws from a linear regression."""

import numpy as np

from analysis.statistics.intervals import Floats


def draw_predictions(x: Floats, y: Floats, at: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """Draws (draws, m) of y at `at` (m,), from n >= 3 observed pairs `x`, `y` (n,).

    Posterior predictive of a normal linear regression with a flat prior: residual variance, line and values are all
    drawn, so few pairs give wide draws (D. B. Rubin, Multiple Imputation for Nonresponse in Surveys, 1987, section
    5.3). There is no slope where all x are equal. Raises ValueError for fewer than 3 pairs.
    """
    if len(x) < 3:
        raise ValueError(f"a regression with residuals needs at least 3 pairs, got {len(x)}")
    center, sloped = x.mean(), bool(np.ptp(x) > 0)
    # `sloped` counts as 0 or 1: without a slope only the column of ones is left.
    inside, outside = (np.column_stack([np.ones(len(v)), v - center])[:, : 1 + sloped] for v in (x, at))
    coefficients = np.linalg.lstsq(inside, y, rcond=None)[0]
    residual = y - inside @ coefficients
    free = len(x) - inside.shape[1]
    # The posterior of the residual variance is a scaled inverse chi-squared distribution.
    scatter = np.sqrt((residual @ residual) / generator.chisquare(free, size=draws))
    # Since x is centered, the columns are orthogonal and the coefficients independent.
    lengths = np.sqrt((inside**2).sum(axis=0))
    lines = coefficients + scatter[:, None] * generator.normal(size=(draws, inside.shape[1])) / lengths
    # Around the line drawn, since a single new value is predicted and not a mean.
    drawn: Floats = lines @ outside.T + scatter[:, None] * generator.normal(size=(draws, len(at)))
    return drawn
