"""What was not seen, drawn from what a line through the seen says of it."""

import numpy as np

from analysis.statistics.intervals import Floats


def draw_predictions(x: Floats, y: Floats, at: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """`draws` of the values at the places `at` (m,), shape (draws, m), from n seen pairs `x`, `y`.

    The posterior predictive of a normal linear regression without prior knowledge: the scatter, the line and every
    value are drawn, so that few pairs give wide draws (D. B. Rubin, Multiple Imputation for Nonresponse in Surveys,
    1987, section 5.3). Where all x are equal there is no slope. Raises ValueError for fewer than 3 pairs.
    """
    if len(x) < 3:
        raise ValueError(f"a line with scatter needs at least 3 pairs, got {len(x)}")
    centre, sloped = x.mean(), bool(np.ptp(x) > 0)
    inside, outside = (np.column_stack([np.ones(len(v)), v - centre])[:, : 1 + sloped] for v in (x, at))
    coefficients = np.linalg.lstsq(inside, y, rcond=None)[0]
    residual = y - inside @ coefficients
    free = len(x) - inside.shape[1]
    scatter = np.sqrt((residual @ residual) / generator.chisquare(free, size=draws))
    lengths = np.sqrt((inside**2).sum(axis=0))  # the columns are orthogonal: x is centred
    lines = coefficients + scatter[:, None] * generator.normal(size=(draws, inside.shape[1])) / lengths
    drawn: Floats = lines @ outside.T + scatter[:, None] * generator.normal(size=(draws, len(at)))
    return drawn
