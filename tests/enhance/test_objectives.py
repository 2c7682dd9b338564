"""enhance.objectives: values, directions, the gradient penalty, clipping, and that critics learn by each of them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.adversaries import (
    OBJECTIVE_CONFIGS,
    BCEConfig,
    CriticConfig,
    DPEDCriticConfig,
    HingeConfig,
    LeastSquaresConfig,
    ObjectiveConfig,
    PatchCriticConfig,
    WassersteinConfig,
    WassersteinGPConfig,
)
from enhance.critics import Critic, build_critic
from enhance.critics.dped import FAKE, REAL, DPEDCritic
from enhance.objectives import OBJECTIVES, Objective, build_objective

torch.set_num_threads(1)

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


def test_objectives_and_configurations_are_the_same_set() -> None:
    assert OBJECTIVES.keys() == OBJECTIVE_CONFIGS.keys()
    assert len({type(build_objective(config())) for config in OBJECTIVE_CONFIGS.values()}) == len(OBJECTIVES)


# --- values ------------------------------------------------------------------------------------------------------


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


# --- directions --------------------------------------------------------------------------------------------------


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
    penalty = objective.penalty(critic, real, enhanced, None, seeded())  # detaches by itself
    (loss if penalty is None else loss + penalty).backward()
    assert gain.grad is None
    assert any(parameter.grad.ne(0).any() for parameter in critic.parameters())
    objective.generator_loss(critic(enhanced)).backward()
    assert gain.grad is not None
    assert gain.grad != 0


# --- the gradient penalty ----------------------------------------------------------------------------------------


class LinearCritic(nn.Module):
    """<weight, picture>, plus a large multiple of the input where there is one."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, pictures: Tensor, inputs: Tensor | None = None) -> Tensor:
        scores = (pictures * self.weight).sum((1, 2, 3))
        return (scores if inputs is None else scores + 100 * inputs.sum((1, 2, 3)))[:, None]


class SquareCritic(nn.Module):
    """Half the squared norm of the picture, whose gradient is the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.empty(0)

    def forward(self, pictures: Tensor, inputs: Tensor | None = None) -> Tensor:
        self.seen = pictures.detach()
        return pictures.square().sum((1, 2, 3))[:, None] / 2


def penalty_of(critic: nn.Module, real: Tensor, enhanced: Tensor, weight: float = 10.0, seed: int = 0) -> Tensor:
    found = build_objective(WassersteinGPConfig(penalty=weight)).penalty(critic, real, enhanced, None, seeded(seed))
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
    shares = ((critic.seen - enhanced) / (real - enhanced)).flatten(1)
    assert (shares.max(1).values - shares.min(1).values).max() < 1e-4
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares[:, 0].std().item() == pytest.approx(math.sqrt(1 / 12), rel=0.2)  # uniform
    again = critic.seen
    penalty_of(critic, real, enhanced)
    assert torch.equal(critic.seen, again)
    penalty_of(critic, real, enhanced, seed=1)
    assert not torch.equal(critic.seen, again)


def test_penalty_moves_the_given_generator_only() -> None:
    before, generator = torch.get_rng_state(), seeded()
    objective = build_objective(WassersteinGPConfig())
    first = objective.penalty(SquareCritic(), images(4), images(4, seed=1), None, generator)
    second = objective.penalty(SquareCritic(), images(4), images(4, seed=1), None, generator)
    assert torch.equal(torch.get_rng_state(), before)
    assert first != second


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
    penalty = objective.penalty(LinearCritic(weight), images(4), images(4, seed=1), inputs, seeded())
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
    penalty = objective.penalty(critic, images(24), images(24, seed=1), inputs, seeded())
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
    after = objective.penalty(critic, images(24), images(24, seed=1), inputs, seeded())
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
    penalty = build_objective(CONFIGS[name]).penalty(critic, images(24), images(24, seed=1), None, seeded())
    assert (penalty is not None) == (name == "wasserstein_gp")


# --- clipping ----------------------------------------------------------------------------------------------------


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


# --- accuracy ----------------------------------------------------------------------------------------------------


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


# --- learning ----------------------------------------------------------------------------------------------------

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
    """Grey noise with stripes (real) and without (enhanced)."""
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
        penalty = objective.penalty(critic, real, enhanced, inputs, generator)
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
