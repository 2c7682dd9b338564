"""Every objective by name, with the seeded scores, pictures and critics that test them."""

import pytest
import torch
from torch import Tensor, nn

from enhance.config.adversaries import (
    BCEConfig,
    HingeConfig,
    LeastSquaresConfig,
    ObjectiveConfig,
    WassersteinConfig,
    WassersteinGPConfig,
)
from enhance.critics import Critic

CONFIGS: dict[str, ObjectiveConfig] = {
    "non_saturating": BCEConfig(),
    "saturating": BCEConfig(form="saturating"),
    "least_squares": LeastSquaresConfig(),
    "wasserstein": WassersteinConfig(),
    "wasserstein_gp": WassersteinGPConfig(),
    "hinge": HingeConfig(),
}
every_objective = pytest.mark.parametrize("name", CONFIGS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(number: int = 2, seed: int = 0) -> Tensor:
    """A random number in [0, 1) for each sample, (number, 1, 1, 1), as a gradient penalty takes them."""
    return torch.rand(number, 1, 1, 1, generator=seeded(seed))


def scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def images(size_px: int, number: int = 2, seed: int = 7) -> Tensor:
    return torch.rand(number, 3, size_px, size_px, generator=seeded(seed))


def steep(critic: Critic) -> Critic:
    """The critic with larger weights: the start is so small that a step would be lost in rounding."""
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(4)
    return critic


class LinearCritic(nn.Module):
    """<weight, picture>, plus a large multiple of the input where there is one."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, pictures: Tensor, inputs: Tensor | None = None) -> Tensor:
        scores = (pictures * self.weight).sum((1, 2, 3))
        return (scores if inputs is None else scores + 100 * inputs.sum((1, 2, 3)))[:, None]
