"""The closed form of a store's training pairs, fitted once per process."""

import functools
from pathlib import Path

import numpy as np

from enhance.closed_form import fit
from enhance.config.fast_nets import PolynomialConfig
from enhance.data import PatchStore
from enhance.nets.fast.polynomial import Polynomial

MOST_PAIRS = 1000
"""Of more training pairs, this many are used, spread evenly: a worker must not wait, and 540 numbers need no more."""


def fitted(data: PatchStore, config: PolynomialConfig | None = None) -> Polynomial:
    """The fit to at most MOST_PAIRS training pairs of `data`, which is not to be changed."""
    return _fitted(data.path, data.fingerprint, config or PolynomialConfig())


@functools.lru_cache(maxsize=4)  # a worker's trials all ask for the same pairs of the same immutable file
def _fitted(path: Path, fingerprint: str, config: PolynomialConfig) -> Polynomial:
    data = PatchStore.open(path)
    count = len(data.train_input)
    if count <= MOST_PAIRS:
        return fit(data.train_input, data.train_target, config)
    places = np.linspace(0, count - 1, MOST_PAIRS).round().astype(int)
    return fit(data.train_input[places], data.train_target[places], config)
