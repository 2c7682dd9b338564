"""What critic and generator minimize: against torch's losses, and by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from enhance.config.adversaries import OBJECTIVE_CONFIGS, BCEConfig, DPEDCriticConfig, HingeConfig
from enhance.critics import build_critic
from enhance.critics.dped import FAKE, REAL, DPEDCritic
from enhance.critics.objectives import OBJECTIVES, build_objective
from tests.enhance.critics.objectives.games import CONFIGS, every_objective, images, scores


def test_objectives_and_configurations_are_the_same_set() -> None:
    assert OBJECTIVES.keys() == OBJECTIVE_CONFIGS.keys()
    assert len({type(build_objective(config())) for config in OBJECTIVE_CONFIGS.values()}) == len(OBJECTIVES)


def critic_oracle(name: str, real: Tensor, enhanced: Tensor) -> Tensor:
    """The critic's loss by other roads than the code's."""
    if name in ("non_saturating", "saturating"):
        yes, no = torch.ones_like(real), torch.zeros_like(enhanced)
        return F.binary_cross_entropy(real.sigmoid(), yes) + F.binary_cross_entropy(enhanced.sigmoid(), no)
    if name == "least_squares":
        return F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(enhanced, torch.zeros_like(enhanced))
    if name == "hinge":
        zero, one = torch.zeros_like(real), torch.ones_like(real)
        return F.margin_ranking_loss(real, zero, one, margin=1) + F.margin_ranking_loss(enhanced, zero, -one, margin=1)
    return torch.tensor(float(np.mean(enhanced.numpy()) - np.mean(real.numpy())), dtype=torch.float64)


def generator_oracle(name: str, enhanced: Tensor) -> Tensor:
    if name == "non_saturating":
        return F.binary_cross_entropy(enhanced.sigmoid(), torch.ones_like(enhanced))
    if name == "saturating":
        return -F.binary_cross_entropy(enhanced.sigmoid(), torch.zeros_like(enhanced))
    if name == "least_squares":
        return F.mse_loss(enhanced, torch.ones_like(enhanced))
    return torch.tensor(-float(np.mean(enhanced.numpy())), dtype=torch.float64)


@every_objective
@pytest.mark.parametrize("shape", [(5, 1), (5, 1, 3, 4)])
def test_values(name: str, shape: tuple[int, ...]) -> None:
    objective, real, enhanced = build_objective(CONFIGS[name]), scores(*shape), scores(*shape, seed=1)
    losses = objective.critic_loss(real, enhanced), objective.generator_loss(enhanced)
    expected = critic_oracle(name, real, enhanced), generator_oracle(name, enhanced)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-12)
    assert all(loss.shape == () for loss in losses)


@every_objective
@pytest.mark.parametrize("shape", [(6, 1), (6, 1, 2, 2)])
@pytest.mark.parametrize("coins", ["110100", "000000", "111111"])
def test_mixed_loss_is_the_mean_over_samples(name: str, shape: tuple[int, ...], coins: str) -> None:
    objective, mixed = build_objective(CONFIGS[name]), scores(*shape)
    is_real = torch.tensor([coin == "1" for coin in coins])
    one_by_one = [
        (objective.cost_of_real if real else objective.cost_of_enhanced)(sample).mean()
        for sample, real in zip(mixed, is_real, strict=True)
    ]
    torch.testing.assert_close(objective.critic_loss_mixed(mixed, is_real), torch.stack(one_by_one).mean())
    if coins.count("1") == 3:
        both = objective.critic_loss(mixed[is_real], mixed[~is_real])
        torch.testing.assert_close(objective.critic_loss_mixed(mixed, is_real), both / 2)


def test_bce_is_the_authors_softmax_over_two_units() -> None:
    logits = torch.tensor([[0.3, -1.2], [2.0, 1.0], [-0.5, 0.5]], dtype=torch.float64)
    score = logits[:, REAL : REAL + 1] - logits[:, FAKE:]
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    code, paper = (build_objective(CONFIGS[name]) for name in ("saturating", "non_saturating"))
    assert code.generator_loss(score).item() == pytest.approx(np.log(p[:, FAKE]).mean(), rel=1e-9)
    assert paper.generator_loss(score).item() == pytest.approx(-np.log(p[:, REAL]).mean(), rel=1e-9)
    is_real = torch.tensor([True, False, True])
    expected = F.cross_entropy(logits, torch.where(is_real, REAL, FAKE))
    torch.testing.assert_close(code.critic_loss_mixed(score, is_real), expected)


def test_the_critics_gradients_are_those_of_the_authors_softmax() -> None:
    critic, is_real = build_critic(DPEDCriticConfig(), 17, seed=0), torch.tensor([True, False])
    assert isinstance(critic, DPEDCritic)
    parameters = list(critic.parameters())
    loss = build_objective(BCEConfig()).critic_loss_mixed(critic(images(17)), is_real)
    softmax = F.cross_entropy(critic.logits(images(17)), torch.where(is_real, REAL, FAKE))
    pairs = zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(softmax, parameters), strict=True)
    for one, other in pairs:
        assert other.ne(0).any()
        assert (one - other).norm() < 1e-3 * other.norm()


def test_values_at_chance() -> None:
    chance = torch.zeros(4, 1)
    assert build_objective(CONFIGS["saturating"]).generator_loss(chance).item() == pytest.approx(-math.log(2))
    assert build_objective(CONFIGS["non_saturating"]).generator_loss(chance).item() == pytest.approx(math.log(2))
    # The authors sum over their batch of 50: -34.66.
    assert 50 * build_objective(CONFIGS["saturating"]).generator_loss(chance).item() == pytest.approx(-34.66, abs=0.01)


def test_the_code_form_is_clipped_at_1e_10_and_the_paper_form_is_not() -> None:
    code, paper = (build_objective(CONFIGS[name]) for name in ("saturating", "non_saturating"))
    assert code.generator_loss(torch.tensor([[100.0]])).item() == pytest.approx(math.log(1e-10), rel=1e-6)
    assert paper.generator_loss(torch.tensor([[-100.0]])).item() == pytest.approx(100)


def test_only_the_paper_form_still_pushes_where_the_critic_is_sure() -> None:
    pushes = {}
    for name in ("saturating", "non_saturating"):
        sure = torch.tensor([[-40.0]], requires_grad=True)
        build_objective(CONFIGS[name]).generator_loss(sure).backward()
        pushes[name] = sure.grad.abs().item()
    assert pushes["non_saturating"] == pytest.approx(1)
    assert pushes["saturating"] < 1e-10  # it saturates: that is the form


def test_bce_still_teaches_a_critic_that_is_wrong_beyond_doubt() -> None:
    wrong = torch.tensor([[-100.0], [100.0]], requires_grad=True)
    build_objective(BCEConfig()).critic_loss_mixed(wrong, torch.tensor([True, False])).backward()
    torch.testing.assert_close(wrong.grad, torch.tensor([[-0.5], [0.5]]))


def test_hinge_leaves_alone_what_is_beyond_the_margin() -> None:
    real, enhanced = (torch.tensor([[-2.0], [0.0], [2.0]], requires_grad=True) for _ in range(2))
    build_objective(HingeConfig()).critic_loss(real, enhanced).backward()
    torch.testing.assert_close(real.grad.flatten(), torch.tensor([-1.0, -1.0, 0.0]) / 3)
    torch.testing.assert_close(enhanced.grad.flatten(), torch.tensor([0.0, 1.0, 1.0]) / 3)
