"""Which way each player pushes the scores, and which scores get no gradient."""

import pytest
import torch

from enhance.config.adversaries import DPEDCriticConfig, PatchCriticConfig
from enhance.critics import build_critic
from enhance.critics.objectives import build_objective
from tests.enhance.critics.objectives.games import CONFIGS, every_objective, images, shares, steep


@every_objective
def test_the_critic_parts_the_scores_and_the_generator_raises_its_own(name: str) -> None:
    objective = build_objective(CONFIGS[name])
    real, enhanced = (torch.tensor([[-0.9], [0.1], [0.9]], requires_grad=True) for _ in range(2))
    objective.critic_loss(real, enhanced).backward()
    assert real.grad.lt(0).all()
    if name == "least_squares":  # the goal for enhanced pictures is 0, from either side
        assert torch.equal(enhanced.grad.sign(), enhanced.sign())
    else:
        assert enhanced.grad.gt(0).all()
    enhanced.grad = None
    objective.generator_loss(enhanced).backward()
    assert enhanced.grad.lt(0).all()


@every_objective
@pytest.mark.parametrize("family", ["dped", "patch"])
def test_a_generator_step_through_the_critic_raises_the_score(name: str, family: str) -> None:
    critic = build_critic(DPEDCriticConfig() if family == "dped" else PatchCriticConfig(channels=4), 32, seed=0)
    steep(critic).requires_grad_(False)  # the generator step needs gradients through it, not for it
    enhanced = images(32).requires_grad_()
    before = critic(enhanced)
    build_objective(CONFIGS[name]).generator_loss(before).backward()
    assert enhanced.grad.ne(0).any()
    step = 1e-3 * enhanced.grad / enhanced.grad.abs().max()
    assert critic(enhanced - step).mean() > before.mean()


@every_objective
def test_the_critics_step_leaves_the_generator_alone(name: str) -> None:
    objective, critic = build_objective(CONFIGS[name]), build_critic(PatchCriticConfig(channels=4, layers=1), 12, 0)
    gain = torch.ones((), requires_grad=True)
    real, enhanced = images(12, seed=1), images(12) * gain
    loss = objective.critic_loss(critic(real), critic(enhanced.detach()))
    penalty = objective.penalty(critic, real, enhanced, None, shares(len(real)))  # detaches by itself
    (loss if penalty is None else loss + penalty).backward()
    assert gain.grad is None
    assert any(parameter.grad.ne(0).any() for parameter in critic.parameters())
    objective.generator_loss(critic(enhanced)).backward()
    assert gain.grad is not None
    assert gain.grad != 0
