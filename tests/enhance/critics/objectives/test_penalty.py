"""The gradient penalty: by hand, where it is taken, what it teaches, and which critics it refuses."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from enhance.config.adversaries import CriticConfig, DPEDCriticConfig, PatchCriticConfig, WassersteinGPConfig
from enhance.critics import build_critic
from enhance.critics.objectives import build_objective
from tests.enhance.critics.objectives.games import CONFIGS, LinearCritic, every_objective, images, seeded, shares, steep


class SquareCritic(nn.Module):
    """Half the squared norm of the picture, whose gradient is the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.empty(0)

    def forward(self, pictures: Tensor, inputs: Tensor | None = None) -> Tensor:
        self.seen = pictures.detach()
        return pictures.square().sum((1, 2, 3))[:, None] / 2


def penalty_of(critic: nn.Module, real: Tensor, enhanced: Tensor, weight: float = 10.0, seed: int = 0) -> Tensor:
    found = build_objective(WassersteinGPConfig(penalty=weight)).penalty(
        critic, real, enhanced, None, shares(len(real), seed)
    )
    assert found is not None
    return found


def test_penalty_of_a_linear_critic_is_that_of_its_flattened_norm() -> None:
    weight = 0.3 * torch.randn(3, 4, 4, generator=seeded(1))
    penalty = penalty_of(LinearCritic(weight), images(4), images(4, seed=1), weight=7.0)
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(7 * (weight.norm().item() - 1) ** 2, rel=1e-5)
    channel_norm = 7 * (weight.norm(dim=0) - 1).square().mean()  # the EnhanceGAN re-implementation's mistake
    assert abs(penalty.item() - channel_norm.item()) > 0.1 * penalty.item()


def test_penalty_teaches_the_critic() -> None:
    weight = 0.3 * torch.randn(3, 4, 4, generator=seeded(1))
    critic = LinearCritic(weight.clone())
    penalty_of(critic, images(4), images(4, seed=1)).backward()
    torch.testing.assert_close(critic.weight.grad, 2 * 10 * (weight.norm() - 1) * weight / weight.norm())


def test_penalty_of_each_sample_counts_alone() -> None:
    real, enhanced = images(4, number=5), images(4, number=5, seed=1)
    critic = SquareCritic()
    found = penalty_of(critic, real, enhanced)
    norms = np.linalg.norm(critic.seen.numpy().reshape(5, -1), axis=1)
    assert found.item() == pytest.approx(10 * np.mean((norms - 1) ** 2), rel=1e-5)


def test_penalty_is_taken_between_the_pictures_at_one_share_per_sample() -> None:
    real, enhanced = 1 + images(4, number=64), images(4, number=64, seed=1) - 1
    critic = SquareCritic()
    penalty_of(critic, real, enhanced)
    seen = (critic.seen - enhanced) / (real - enhanced)
    torch.testing.assert_close(seen, shares(64).expand_as(seen), rtol=0, atol=1e-4)


def test_penalty_where_the_critic_is_flat() -> None:
    critic = LinearCritic(torch.zeros(3, 4, 4))
    penalty = penalty_of(critic, images(4), images(4, seed=1))
    penalty.backward()
    assert penalty.item() == pytest.approx(10)
    assert critic.weight.grad.isfinite().all()


def test_penalty_of_a_map_is_that_of_its_mean() -> None:
    critic = steep(steep(build_critic(PatchCriticConfig(norm="none", channels=2, layers=1), 12, seed=0)))
    real = images(12, number=1)
    found = penalty_of(critic, real, real)  # between equals there is one point only
    x = real.clone().requires_grad_()
    critic(x).mean().backward()
    assert x.grad.norm() > 0.1
    assert found.item() == pytest.approx(10 * (x.grad.norm().item() - 1) ** 2, rel=1e-4)


def test_penalty_of_a_conditional_critic_leaves_the_input_out() -> None:
    weight, inputs = 0.3 * torch.randn(3, 4, 4, generator=seeded(1)), images(4, seed=2).requires_grad_()
    objective = build_objective(WassersteinGPConfig())
    penalty = objective.penalty(LinearCritic(weight), images(4), images(4, seed=1), inputs, shares())
    assert penalty is not None
    assert penalty.item() == pytest.approx(10 * (weight.norm().item() - 1) ** 2, rel=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        DPEDCriticConfig(),
        PatchCriticConfig(channels=4),
        PatchCriticConfig(channels=4, norm="none"),
        PatchCriticConfig(channels=4, conditional=True),
    ],
)
def test_penalty_of_the_real_critics(config: CriticConfig) -> None:
    critic = steep(build_critic(config, 24, seed=0))
    inputs = images(24, seed=2) if config.sees_input else None
    objective = build_objective(WassersteinGPConfig())
    penalty = objective.penalty(critic, images(24), images(24, seed=1), inputs, shares())
    assert penalty is not None
    penalty.backward()
    weights = [parameter for parameter in critic.parameters() if parameter.ndim > 1]
    assert all(weight.grad.isfinite().all() and weight.grad.ne(0).any() for weight in weights)
    # By finite differences along the gradient: the penalty falls as its gradient says.
    slope = sum(weight.grad.square().sum() for weight in weights).item()
    fall = 1e-3 * penalty.item()
    with torch.no_grad():
        for weight in weights:
            weight.sub_(fall / slope * weight.grad)
    after = objective.penalty(critic, images(24), images(24, seed=1), inputs, shares())
    assert (penalty - after).item() == pytest.approx(fall, rel=0.1)


def test_penalty_under_autocast_is_the_exact_one() -> None:
    critic = build_critic(PatchCriticConfig(channels=4), 24, seed=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = penalty_of(critic, images(24), images(24, seed=1))
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, penalty_of(critic, images(24), images(24, seed=1)))


class Pretrained(nn.Module):
    """A critic with a trunk that has batch norm, as in the EnhanceGAN re-implementation."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Sequential(nn.BatchNorm2d(3)))

    def forward(self, pictures: Tensor, inputs: Tensor | None = None) -> Tensor:
        return self.trunk(pictures).mean((1, 2, 3))[:, None]


@pytest.mark.parametrize("norm", ["dped", "patch", "pretrained"])
def test_penalty_refuses_batch_norm(norm: str) -> None:
    critics: dict[str, nn.Module] = {
        "dped": build_critic(DPEDCriticConfig(norm="batch"), 24, seed=0),
        "patch": build_critic(PatchCriticConfig(norm="batch", channels=2), 24, seed=0),
        "pretrained": Pretrained(),
    }
    with pytest.raises(ValueError, match=r"batch norm.* each sample alone, and batch norm mixes samples; choose"):
        penalty_of(critics[norm], images(24), images(24, seed=1))


@every_objective
def test_only_wasserstein_gp_has_a_penalty(name: str) -> None:
    critic = build_critic(PatchCriticConfig(channels=2), 24, seed=0)
    penalty = build_objective(CONFIGS[name]).penalty(critic, images(24), images(24, seed=1), None, shares())
    assert (penalty is not None) == (name == "wasserstein_gp")
