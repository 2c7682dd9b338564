"""Clipping the critic's weights: which objectives do it, to which weights, and to what bound."""

import math

import pytest
import torch

from enhance.config.adversaries import CriticConfig, DPEDCriticConfig, PatchCriticConfig, WassersteinConfig
from enhance.critics import build_critic
from enhance.critics.objectives import build_objective
from tests.enhance.critics.objectives.games import CONFIGS, LinearCritic, every_objective, seeded


@every_objective
@pytest.mark.parametrize("config", [DPEDCriticConfig(norm="batch"), PatchCriticConfig(norm="batch", channels=4)])
def test_only_wasserstein_clips_and_it_clips_every_parameter(name: str, config: CriticConfig) -> None:
    critic = build_critic(config, 24, seed=0)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.normal_(0, 1, generator=seeded())
    before = [parameter.detach().clone() for parameter in critic.parameters()]
    build_objective(CONFIGS[name]).after_step(critic)
    bound = 0.01 if name == "wasserstein" else math.inf
    for parameter, old in zip(critic.parameters(), before, strict=True):
        assert torch.equal(parameter, old.clip(-bound, bound))
        assert parameter.requires_grad


def test_the_clip_is_the_configured_one() -> None:
    critic = LinearCritic(torch.linspace(-1, 1, 48).view(3, 4, 4))
    build_objective(WassersteinConfig(clip=0.25)).after_step(critic)
    assert critic.weight.min() == -0.25
    assert critic.weight.max() == 0.25
