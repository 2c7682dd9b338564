"""Every critic learns with every objective."""

import numpy as np
import pytest
import torch
from torch import Tensor

from enhance.config.adversaries import BCEConfig, CriticConfig, DPEDCriticConfig, PatchCriticConfig, WassersteinConfig
from enhance.critics import Critic, build_critic
from enhance.critics.objectives import Objective, build_objective
from tests.enhance.critics.objectives.games import CONFIGS, every_objective, images, seeded

CRITICS: dict[str, CriticConfig] = {
    "dped-instance": DPEDCriticConfig(),
    "dped-batch": DPEDCriticConfig(norm="batch"),
    "patch-instance": PatchCriticConfig(channels=8, layers=2),
    "patch-batch": PatchCriticConfig(channels=8, layers=2, norm="batch"),
    "patch-none": PatchCriticConfig(channels=8, layers=2, norm="none"),
    "patch-conditional": PatchCriticConfig(channels=8, layers=2, conditional=True),
}
SIZE_PX, SAMPLES = 18, 8


def separable() -> tuple[Tensor, Tensor]:
    """Gray noise with stripes (real) and without (enhanced)."""
    noise = 0.05 * torch.randn(2, SAMPLES, 3, SIZE_PX, SIZE_PX, generator=seeded(5))
    stripes = 0.2 * torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(5)[:SIZE_PX]
    return 0.5 + noise[0] + stripes, 0.5 + noise[1]


def taught(
    critic: Critic,
    objective: Objective,
    real: Tensor,
    enhanced: Tensor,
    inputs: Tensor | None,
    *,
    lr: float,
    steps: int,
) -> tuple[list[float], list[float]]:
    """What the critic minimises and its accuracy, at each of a few steps of the critic alone."""
    optimizer, generator = torch.optim.Adam(critic.parameters(), lr=lr), seeded()
    is_real = torch.arange(2 * len(real)) < len(real)
    losses, accuracies = [], []
    for _ in range(steps):
        on_real, on_enhanced = critic(real, inputs), critic(enhanced, inputs)
        loss = objective.critic_loss(on_real, on_enhanced)
        random = torch.rand(len(real), 1, 1, 1, generator=generator)
        penalty = objective.penalty(critic, real, enhanced, inputs, random)
        loss = loss if penalty is None else loss + penalty
        losses.append(loss.item())
        accuracies.append(objective.accuracy(torch.cat([on_real, on_enhanced]), is_real).item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        objective.after_step(critic)
    return losses, accuracies


@every_objective
@pytest.mark.parametrize("kind", CRITICS)
@pytest.mark.slow
def test_every_critic_learns_by_every_objective(name: str, kind: str) -> None:
    config, objective = CRITICS[kind], build_objective(CONFIGS[name])
    if name == "wasserstein_gp" and config.norm == "batch":
        pytest.skip("refused: batch norm under a gradient penalty")
    if name == "wasserstein" and kind not in ("patch-instance", "patch-conditional"):
        objective = build_objective(WassersteinConfig(clip=0.05))  # 0.01 is too tight for the scales of these norms
    real, enhanced = separable()
    inputs = images(SIZE_PX, SAMPLES) if config.sees_input else None
    lr, steps = (1e-4, 15) if config.family == "dped" else (1e-3, 30)
    critic = build_critic(config, SIZE_PX, seed=0)
    losses, accuracies = taught(critic, objective, real, enhanced, inputs, lr=lr, steps=steps)
    assert np.mean(losses[-5:]) < losses[0] - 0.1 * abs(losses[0])
    assert accuracies[0] < 0.7
    assert np.mean(accuracies[-5:]) > 0.75


@pytest.mark.slow
def test_a_conditional_critic_learns_what_the_picture_alone_does_not_tell() -> None:
    inputs = images(SIZE_PX, SAMPLES)
    real, enhanced = inputs, inputs.roll(1, dims=0)  # the same pictures, of which one fits its input
    accuracies = {}
    for conditional in (False, True):
        critic = build_critic(PatchCriticConfig(channels=8, layers=2, conditional=conditional), SIZE_PX, seed=0)
        shown = inputs if conditional else None
        objective = build_objective(BCEConfig())
        accuracies[conditional] = taught(critic, objective, real, enhanced, shown, lr=1e-3, steps=30)[1][-1]
    assert accuracies[False] == pytest.approx(0.5)
    assert accuracies[True] > 0.9
