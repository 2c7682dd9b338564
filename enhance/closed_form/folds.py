"""What the closed form is worth on data: cross-validated over all pairs, or fitted to training pairs alone."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from enhance.closed_form import fit
from enhance.config.fast_nets import PolynomialConfig
from enhance.data import PatchStore
from enhance.data.batches import Pictures
from enhance.nets import Network, apply
from enhance.training import metrics
from enhance.training.feed import to_images

SEED = 0  # of the folds

_PICTURES = 20  # at a time


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of pictures, (N,) by metric: of untouched inputs, and of the closed form; CPU seconds of each fit."""

    untouched: dict[str, Tensor]
    closed_form: dict[str, Tensor]
    fit_s: list[float]


def cross_validated(data: PatchStore, folds: int, config: PolynomialConfig, ridge: float) -> Scores:
    """Score every pair of `data`, training and validation, by a fit to the other folds.

    The folds are drawn at random from a fixed seed. Raises ValueError if there are fewer than 2 folds or than pairs.
    """
    source = np.concatenate([data.train_input, data.val_input])
    target = np.concatenate([data.train_target, data.val_target])
    if not 2 <= folds <= len(source):
        raise ValueError(f"--folds={folds} must be from 2 to {len(source)}, the number of pairs")
    order = np.random.default_rng(SEED).permutation(len(source))
    parts = []
    for held_out in np.array_split(order, folds):
        # In the order of the data, as any other fit sees them.
        kept = np.setdiff1d(order, held_out)
        parts.append(_scored(source[kept], target[kept], source[held_out], target[held_out], config, ridge))
    return Scores(
        untouched=_joined([part.untouched for part in parts]),
        closed_form=_joined([part.closed_form for part in parts]),
        fit_s=[second for part in parts for second in part.fit_s],
    )


def held_out(data: PatchStore, config: PolynomialConfig, ridge: float) -> Scores:
    """Fit to the training pairs, and score the validation pairs."""
    return _scored(data.train_input, data.train_target, data.val_input, data.val_target, config, ridge)


@torch.no_grad()
def scores(net: Network, source: Pictures, target: Pictures) -> dict[str, Tensor]:
    """The metrics of a network's output for pairs (N, H, W, 3), (N,) each."""
    found = []
    for first in range(0, len(source), _PICTURES):
        part = slice(first, first + _PICTURES)
        found.append(metrics.evaluate(apply(net, to_images(np.array(source[part]))), to_images(np.array(target[part]))))
    return _joined(found)


def _scored(
    source: Pictures,
    target: Pictures,
    new_source: Pictures,
    new_target: Pictures,
    config: PolynomialConfig,
    ridge: float,
) -> Scores:
    started = time.process_time()
    net = fit(source, target, config, ridge=ridge)
    fit_s = time.process_time() - started
    untouched = metrics.evaluate(to_images(np.array(new_source)), to_images(np.array(new_target)))
    return Scores(untouched, scores(net, new_source, new_target), [fit_s])


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
