"""Points of a space for a sampler that has no idea left: it may repeat itself long before the space is searched."""

from collections.abc import Iterator, Mapping

import numpy as np
import optuna

from enhance.config import Scalar
from sweeps.engine.designs import Grid
from sweeps.engine.space import Space, suggest
from sweeps.engine.sweep import Sweep

DRAWS = 1000
"""Draws from a space that cannot be listed. Only one with next to no room has none among them that is new."""


def can_be_listed(space: Space) -> bool:
    """Whether the space has a list of points: it is finite, and not too large."""
    return not Grid().problems(space)


def list_points(sweep: Sweep) -> Iterator[Mapping[str, Scalar]]:
    """Every point of a space that can be listed, in a random order."""
    points = [values for _, values in Grid().points(sweep.space)]
    order = np.random.default_rng([sweep.search_seed, len(points)]).permutation(len(points))
    yield from (points[index] for index in order)


def draw_points(sweep: Sweep, number: int) -> Iterator[Mapping[str, Scalar]]:
    """DRAWS random points of any space. They depend on the configuration's `number`, so that a resumed run, which has
    forgotten how often it drew, makes the same draws again.
    """
    seed = int(np.random.SeedSequence([sweep.search_seed, number]).generate_state(1)[0])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(DRAWS):
        yield suggest(study.ask(), sweep.space)
