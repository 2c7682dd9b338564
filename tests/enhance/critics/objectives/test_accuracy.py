"""The critic's accuracy: by hand, on maps, and at chance."""

import numpy as np
import pytest
import torch

from enhance.config.adversaries import WassersteinConfig
from enhance.critics.objectives import build_objective
from tests.enhance.critics.objectives.games import CONFIGS, every_objective, scores


@pytest.mark.parametrize(
    "name, border",
    [("non_saturating", 0), ("saturating", 0), ("hinge", 0), ("least_squares", 0.5), ("wasserstein", 0.75)],
)
def test_accuracy_by_hand(name: str, border: float) -> None:
    found = torch.tensor([[0.2], [3.0], [0.6], [-0.2], [-0.7]])  # Wasserstein's border: between 1.6 and -0.1
    is_real = torch.tensor([True, True, False, False, False])
    right = sum(
        (score > border) == real for score, real in zip(found.flatten().tolist(), is_real.tolist(), strict=True)
    )
    assert build_objective(CONFIGS[name]).accuracy(found, is_real).item() == pytest.approx(right / 5)


@every_objective
def test_accuracy_of_a_map_counts_every_judgement(name: str) -> None:
    found = torch.full((2, 1, 2, 2), -5.0)
    found[0, 0, 0] = 5.0
    assert build_objective(CONFIGS[name]).accuracy(found, torch.tensor([True, False])).item() == 0.75


@every_objective
def test_accuracy_of_a_constant_critic_is_chance(name: str) -> None:
    is_real = torch.tensor([True, False, False, True])
    for level in (-2.0, 0.0, 2.0):
        assert build_objective(CONFIGS[name]).accuracy(torch.full((4, 1), level), is_real).item() == 0.5


@pytest.mark.parametrize("name", ["wasserstein", "wasserstein_gp"])
def test_wasserstein_accuracy_ignores_a_constant_and_needs_both_kinds(name: str) -> None:
    objective, is_real = build_objective(CONFIGS[name]), torch.tensor([True, False, True, False])
    found = torch.tensor([[1.0], [0.0], [3.0], [0.5]])
    assert objective.accuracy(found, is_real) == objective.accuracy(found + 100, is_real) == 0.75
    assert objective.accuracy(found, torch.ones(4, dtype=torch.bool)) == 0.5
    assert objective.accuracy(found, torch.zeros(4, dtype=torch.bool)) == 0.5


def test_accuracy_of_a_blind_wasserstein_critic_is_chance_on_average() -> None:
    objective, is_real = build_objective(WassersteinConfig()), torch.tensor([True, True, True, False, False])
    found = [objective.accuracy(scores(5, 1, seed=seed), is_real).item() for seed in range(1000)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)
