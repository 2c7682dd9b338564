"""Schedules, clipping, every optimizer against torch's own or an independent oracle, states, and averages."""

import copy
import dataclasses
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from enhance.config.optimizers import (
    OPTIMIZER_CONFIGS,
    AdamConfig,
    AdamWConfig,
    MuonConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from enhance.nets import build
from enhance.nets.layers import conv
from enhance.optimizers import Average, Optimizer, learning_rate_at

torch.set_num_threads(1)
STEPS = 12


def small_net(seed: int = 0) -> nn.Module:
    """A generator with every kind of parameter, channels last as in training."""
    net = build("resnet", seed=seed, channels=4, blocks=1, norm="batch", activation="prelu", init="he")
    return net.to(memory_format=torch.channels_last)


def loss_of(net: nn.Module, step: int) -> Tensor:
    """A regression whose batch is a function of the step."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
    return (net(images) - 0.8 * images).square().mean()


def train(net: nn.Module, optimizer: Optimizer, start: int, stop: int) -> list[float]:
    losses = []
    for step in range(start, stop):
        optimizer.zero_grad()
        loss = loss_of(net, step)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def weights(net: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in net.state_dict().values()]


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def trained(config: OptimizerConfig, steps: int = 6) -> list[Tensor]:
    net = small_net()
    train(net, Optimizer(net, config, STEPS), 0, steps)
    return weights(net)


# --- the schedule ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        ("linear", lambda sgd: LinearLR(sgd, start_factor=1.0, end_factor=0.0, total_iters=40)),
        ("cosine", lambda sgd: CosineAnnealingLR(sgd, T_max=40)),
    ],
)
def test_decays_are_those_of_torch(schedule: str, theirs: Callable[[torch.optim.SGD], Any]) -> None:
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = theirs(sgd)
    config = AdamConfig(lr=0.3, schedule=schedule)
    for step in range(40):
        assert learning_rate_at(config, 40, step) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9)
        sgd.step()
        scheduler.step()


def test_the_schedule_of_cyclegan_holds_for_half_and_falls_linearly() -> None:
    config = AdamConfig(lr=2e-4, schedule="linear", hold_share=0.5)
    rates = [learning_rate_at(config, 200, step) for step in range(200)]
    assert rates[:101] == [2e-4] * 101
    assert rates[150] == pytest.approx(1e-4)
    assert rates[199] == pytest.approx(2e-4 / 100)


def test_warm_up_begins_above_zero_and_decay_begins_where_it_ends() -> None:
    config = AdamConfig(lr=1.0, schedule="cosine", warmup_share=0.25)
    rates = [learning_rate_at(config, 16, step) for step in range(16)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[10] == pytest.approx(0.5)
    assert rates[15] == pytest.approx((1 + math.cos(math.pi * 11 / 12)) / 2)


@settings(deadline=None)
@given(
    schedule=st.sampled_from(["constant", "cosine", "linear"]),
    warmup=st.floats(0, 0.5),
    hold=st.floats(0, 0.99),
    steps=st.integers(1, 80),
)
def test_rates_rise_hold_and_fall_within_bounds(schedule: str, warmup: float, hold: float, steps: int) -> None:
    config = AdamConfig(lr=0.1, schedule=schedule, warmup_share=warmup, hold_share=hold)
    rates = [learning_rate_at(config, steps, step) for step in range(steps)]
    assert all(0 < rate <= 0.1 for rate in rates)
    top = rates.index(max(rates))
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    full = [step for step in range(steps) if warmup * steps <= step <= hold * steps]
    assert all(rates[step] == 0.1 for step in full)
    assert learning_rate_at(config, steps, steps + 3) == rates[-1]


def test_a_constant_rate_is_the_configured_one_to_the_bit() -> None:
    assert {learning_rate_at(AdamConfig(lr=3.3e-4), 600, step) for step in range(600)} == {3.3e-4}


@pytest.mark.parametrize(("steps", "step"), [(0, 0), (5, -1)])
def test_no_rate_outside_the_budget(steps: int, step: int) -> None:
    with pytest.raises(ValueError, match=f"steps={steps} must be at least 1 and step={step} at least 0"):
        learning_rate_at(AdamConfig(), steps, step)


def test_every_update_is_made_with_the_rate_of_its_step() -> None:
    config = SGDConfig(lr=0.5, momentum=0.0, schedule="linear", warmup_share=0.25)
    layer = nn.Module()
    layer.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Optimizer(layer, config, 8)
    for step in range(10):
        before = float(layer.weight.detach())
        assert optimizer.learning_rate == learning_rate_at(config, 8, step)
        layer.weight.grad = torch.ones_like(layer.weight)
        optimizer.step()
        assert before - float(layer.weight.detach()) == pytest.approx(learning_rate_at(config, 8, step))


# --- torch's optimizers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "theirs"),
    [
        (AdamConfig(), lambda p: torch.optim.Adam(p, lr=5e-4, betas=(0.9, 0.999), fused=True)),
        (AdamConfig(lr=2e-4, beta1=0.5), lambda p: torch.optim.Adam(p, lr=2e-4, betas=(0.5, 0.999), fused=True)),
        (
            AdamWConfig(weight_decay=0.2, beta2=0.9),
            lambda p: torch.optim.AdamW(p, lr=5e-4, betas=(0.9, 0.9), weight_decay=0.2, fused=True),
        ),
        (
            RMSpropConfig(alpha=0.9, momentum=0.5),
            lambda p: torch.optim.RMSprop(p, lr=5e-4, alpha=0.9, momentum=0.5, eps=1e-8),
        ),
        (
            SGDConfig(nesterov=True, weight_decay=0.1),
            lambda p: torch.optim.SGD(p, lr=5e-4, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
    ],
)
def test_without_a_schedule_bits_are_those_of_torch(
    config: OptimizerConfig, theirs: Callable[[Any], torch.optim.Optimizer]
) -> None:
    net = small_net()
    plain = theirs(net.parameters())
    for step in range(6):
        plain.zero_grad()
        loss_of(net, step).backward()
        plain.step()
    assert same(trained(config), weights(net))


LEAVES: dict[str, Any] = {
    "lr": 1e-3,
    "schedule": "cosine",
    "warmup_share": 0.1,
    "hold_share": 0.6,
    "clip_norm": 0.05,
    "beta1": 0.5,
    "beta2": 0.9,
    "weight_decay": 0.3,
    "alpha": 0.5,
    "momentum": 0.3,
    "nesterov": True,
    "adamw_lr": 1e-3,
}


@pytest.mark.parametrize(
    ("name", "leaf"),
    [(n, f.name) for n, kind in OPTIMIZER_CONFIGS.items() for f in dataclasses.fields(kind) if f.name != "name"],
)
def test_no_leaf_is_ignored(name: str, leaf: str) -> None:
    base = OPTIMIZER_CONFIGS[name](schedule="linear", warmup_share=0.3, hold_share=0.4)
    changed = dataclasses.replace(base, **{leaf: LEAVES[leaf]})
    assert not same(trained(base), trained(changed))


@pytest.mark.parametrize("config", [kind(lr=3e-3) for kind in OPTIMIZER_CONFIGS.values()], ids=OPTIMIZER_CONFIGS)
def test_every_optimizer_lowers_the_loss_and_repeats_itself(config: OptimizerConfig) -> None:
    kept = torch.get_rng_state()
    runs = []
    for _ in range(2):
        net = small_net()
        runs.append(train(net, Optimizer(net, config, 40), 0, 40))
    assert runs[0] == runs[1]
    assert sum(runs[0][-5:]) < 0.8 * sum(runs[0][:5])
    assert torch.equal(kept, torch.get_rng_state())


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match=r"[Nn]esterov"):
        Optimizer(small_net(), SGDConfig(momentum=0.0, nesterov=True), STEPS)


def test_budgets_and_factors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        Optimizer(small_net(), AdamConfig(), 0)
    with pytest.raises(ValueError, match=r"lr_factor=0\.0 must be > 0"):
        Optimizer(small_net(), AdamConfig(), 1).restart(0.0)


def test_a_step_without_gradients_is_refused() -> None:
    net = small_net()
    optimizer = Optimizer(net, AdamConfig(), STEPS)
    train(net, optimizer, 0, 1)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(RuntimeError, match="backward must come before step"):
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_parameters_may_get_their_first_gradient_late(kind: type[OptimizerConfig]) -> None:
    net = small_net()
    late = dict(net.named_parameters())["tail.0.weight"].requires_grad_(False)
    start = late.clone()
    optimizer = Optimizer(net, kind(), STEPS)
    train(net, optimizer, 0, 2)
    assert torch.equal(late, start)
    late.requires_grad_(True)
    train(net, optimizer, 2, 3)
    assert not torch.equal(late, start)


def test_a_parameter_of_two_modules_is_updated_once() -> None:
    alone, shared = small_net(), small_net()
    train(alone, Optimizer(alone, SGDConfig(), STEPS), 0, 3)
    train(shared, Optimizer([shared, shared], SGDConfig(), STEPS), 0, 3)
    assert same(weights(alone), weights(shared))


# --- clipping ----------------------------------------------------------------------------------------------------


def backward_of_two() -> tuple[list[nn.Module], list[Tensor], float]:
    """Two networks with gradients, a copy of these, and their total norm."""
    nets = [small_net(0), small_net(1)]
    for net in nets:
        loss_of(net, 0).backward()
    grads = [p.grad.clone() for net in nets for p in net.parameters()]
    return nets, grads, math.sqrt(sum(float(g.double().square().sum()) for g in grads))


@pytest.mark.parametrize("share", [0.1, 0.99, 1.01, 50.0])
def test_gradients_are_scaled_to_the_total_norm_of_all_modules(share: float) -> None:
    nets, grads, norm = backward_of_two()
    optimizer = Optimizer(nets, SGDConfig(lr=1.0, momentum=0.0, clip_norm=share * norm), STEPS)
    before = [p.detach().clone() for net in nets for p in net.parameters()]
    returned = optimizer.step()
    assert returned.shape == ()
    assert not returned.requires_grad
    assert float(returned) == pytest.approx(norm, rel=1e-5)
    after = [p.detach() for net in nets for p in net.parameters()]
    for grad, old, new in zip(grads, before, after, strict=True):
        torch.testing.assert_close(old - new, min(share, 1.0) * grad, rtol=1e-4, atol=1e-6)


def test_without_clipping_the_norm_is_told_and_nothing_scaled() -> None:
    nets, grads, norm = backward_of_two()
    assert float(Optimizer(nets, AdamConfig(), STEPS).step()) == pytest.approx(norm, rel=1e-5)
    assert same(grads, [p.grad for net in nets for p in net.parameters()])


# --- state -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        AdamConfig(schedule="cosine", clip_norm=0.1),
        AdamWConfig(schedule="linear", warmup_share=0.4),
        RMSpropConfig(momentum=0.9),
        SGDConfig(),
        SGDConfig(momentum=0.0),
        MuonConfig(schedule="linear"),
    ],
    ids=lambda config: f"{config.name}-{config.schedule}",
)
@pytest.mark.parametrize("restarted", [False, True])
def test_stopped_and_resumed_is_straight_on(config: OptimizerConfig, restarted: bool) -> None:
    net = small_net()
    optimizer = Optimizer(net, config, STEPS)
    train(net, optimizer, 0, 5)
    if restarted:
        optimizer.restart(0.5)
    kept = through_a_file({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    other = small_net(seed=1)
    other.load_state_dict(kept["net"])
    resumed = Optimizer(other, config, STEPS)
    resumed.load_state_dict(kept["optimizer"])
    assert resumed.learning_rate == optimizer.learning_rate
    train(other, resumed, 5, 10)
    train(net, optimizer, 5, 10)
    assert same(weights(net), weights(other))


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_a_state_taken_over_is_not_shared(kind: type[OptimizerConfig]) -> None:
    net = small_net()
    optimizer = Optimizer(net, kind(), STEPS)
    train(net, optimizer, 0, 3)
    kept = optimizer.state_dict()
    before = copy.deepcopy(kept)
    other = small_net()
    resumed = Optimizer(other, kind(), STEPS)
    resumed.load_state_dict(kept)
    train(other, resumed, 3, 5)
    torch.testing.assert_close(kept, before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", OPTIMIZER_CONFIGS.values(), ids=OPTIMIZER_CONFIGS)
def test_a_restart_forgets_the_moments_and_keeps_the_place(kind: type[OptimizerConfig]) -> None:
    config = kind(schedule="linear")
    net = small_net()
    optimizer = Optimizer(net, config, STEPS)
    train(net, optimizer, 0, 4)
    optimizer.restart(0.5)
    optimizer.restart(0.5)
    assert optimizer.learning_rate == pytest.approx(0.25 * learning_rate_at(config, STEPS, 4))

    fresh = copy.deepcopy(net)
    share = 0.25 * (1 - 4 / STEPS)
    rates = {"lr": share * config.lr} | ({"adamw_lr": share * config.adamw_lr} if kind is MuonConfig else {})
    train(fresh, Optimizer(fresh, kind(**rates), STEPS), 4, 5)
    train(net, optimizer, 4, 5)
    torch.testing.assert_close(weights(net), weights(fresh), rtol=1e-6, atol=1e-9)


# --- Muon --------------------------------------------------------------------------------------------------------


def orthogonalised(matrix: Tensor) -> Tensor:
    """Five quintic Newton-Schulz steps on the singular values (Jordan et al. 2024), which is what they act on."""
    u, values, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return u @ torch.diag(values) @ v


class Layers(nn.Module):
    """First, plain, wide-to-narrow 1x1, transposed and last; only the three between are Muon's."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = conv(3, 4, 3, generator)
        self.plain = conv(4, 6, 3, generator)
        self.tall = conv(6, 24, 1, generator)
        self.transposed = nn.utils.skip_init(nn.ConvTranspose2d, 24, 5, 2)
        self.last = conv(5, 3, 3, generator)
        for parameter in self.transposed.parameters():
            nn.init.normal_(parameter, generator=generator)


HIDDEN = ("plain", "tall", "transposed")


def give_gradients(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.grad = torch.empty_like(parameter).copy_(drawn)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_muon_orthogonalises_the_momentum_of_hidden_kernels(memory_format: torch.memory_format) -> None:
    net = Layers().to(memory_format=memory_format)
    config = MuonConfig(lr=0.1, momentum=0.8, weight_decay=0.5)
    optimizer = Optimizer(net, config, STEPS)
    momenta = dict.fromkeys(HIDDEN, 0.0)
    for step in range(3):
        give_gradients(net, step)
        before = {name: getattr(net, name).weight.detach().clone() for name in HIDDEN}
        optimizer.step()
        for name in HIDDEN:
            kernel = getattr(net, name).weight
            rows = len(kernel)
            gradient = kernel.grad.reshape(rows, -1)
            momenta[name] = 0.8 * momenta[name] + 0.2 * gradient
            update = orthogonalised(0.2 * gradient + 0.8 * momenta[name])
            update = update * math.sqrt(max(1, rows / gradient.shape[1]))
            expected = (1 - 0.1 * 0.5) * before[name].reshape(rows, -1) - 0.1 * update.float()
            # bfloat16 has 8 bits: a few parts in a hundred of an update of size lr
            torch.testing.assert_close(kernel.detach().reshape(rows, -1), expected, rtol=0, atol=0.1 * 0.03)


def test_what_muon_does_to_a_kernel_has_singular_values_around_one() -> None:
    net = Layers()
    give_gradients(net, 0)
    before = net.plain.weight.detach().clone()
    Optimizer(net, MuonConfig(lr=0.1), STEPS).step()
    values = torch.linalg.svdvals((before - net.plain.weight.detach()).flatten(1) / 0.1)
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_muon_leaves_everything_else_to_adamw() -> None:
    net, twin = Layers(), Layers()
    optimizer = Optimizer(net, MuonConfig(lr=0.1, adamw_lr=0.01, weight_decay=0.1), STEPS)
    rest = [n for n, _ in twin.named_parameters() if n not in {f"{name}.weight" for name in HIDDEN}]
    assert "first.weight" in rest
    assert "plain.bias" in rest
    adamw = torch.optim.AdamW([dict(twin.named_parameters())[n] for n in rest], lr=0.01, weight_decay=0.1, fused=True)
    for step in range(3):
        for module in (net, twin):
            give_gradients(module, step)
        optimizer.step()
        adamw.step()
    assert all(torch.equal(net.get_parameter(n), twin.get_parameter(n)) for n in rest)
    assert not any(torch.equal(net.get_parameter(f"{n}.weight"), twin.get_parameter(f"{n}.weight")) for n in HIDDEN)


def test_muon_follows_a_kernel_to_new_memory() -> None:
    net, moved = Layers(), Layers()
    optimizers = [Optimizer(module, MuonConfig(lr=0.1), STEPS) for module in (net, moved)]
    for parameter in moved.parameters():
        parameter.data = parameter.data.clone()
    for module, optimizer in zip((net, moved), optimizers, strict=True):
        give_gradients(module, 0)
        optimizer.step()
    assert same(weights(net), weights(moved))


def test_muon_needs_a_hidden_layer() -> None:
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(conv(3, 4, 3, generator), conv(4, 3, 3, generator))
    with pytest.raises(
        ValueError, match=r"between the first and the last, but Sequential has only 2; choose from adam"
    ):
        Optimizer(net, MuonConfig(), STEPS)


# --- averages ----------------------------------------------------------------------------------------------------


def test_the_average_is_that_of_torch() -> None:
    net = small_net()
    average = Average(net, 0.7)

    def warmed(averages: list[torch.Tensor], presents: list[torch.Tensor], updates: torch.Tensor) -> None:
        decay = min(0.7, (1 + int(updates)) / (10 + int(updates)))
        get_ema_multi_avg_fn(decay)(averages, presents, updates)  # type: ignore[no-untyped-call]

    theirs = AveragedModel(net, multi_avg_fn=warmed, use_buffers=True)
    optimizer = Optimizer(net, AdamConfig(lr=1e-2), STEPS)
    for step in range(5):
        train(net, optimizer, step, step + 1)
        average.update(net)
        theirs.update_parameters(net)
    ours, present = average.net.state_dict(), net.state_dict()
    buffers = {name for name, _ in net.named_buffers()}
    assert any(name.endswith("running_var") for name in buffers)
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(ours[name], value), name
            assert not torch.equal(ours[name], present[name]), name
        else:
            assert torch.equal(ours[name], present[name]), name


def test_the_first_average_is_the_network_then_and_later_ones_are_weighted() -> None:
    net = nn.BatchNorm2d(1)
    average = Average(net, 0.2)
    for value in (8.0, 4.0, 0.0):
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(-value)
        average.update(net)
    first, second = 2 / 11, 0.2  # the warm-up's and then the configured decay
    expected = second * (first * 8 + (1 - first) * 4)
    assert float(average.net.weight) == pytest.approx(expected)
    assert float(average.net.running_mean) == pytest.approx(-expected)


def test_the_averaged_network_is_a_copy_for_evaluation() -> None:
    net = small_net()
    average = Average(net, 0.9)
    assert net.training
    assert not any(module.training for module in average.net.modules())
    assert not any(parameter.requires_grad for parameter in average.net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    start = weights(average.net)
    train(net, Optimizer(net, AdamConfig(), STEPS), 0, 1)
    assert same(weights(average.net), start)


def test_an_average_is_resumed_to_the_bit() -> None:
    net = small_net()
    optimizer = Optimizer(net, AdamConfig(), STEPS)
    straight = Average(net, 0.9)
    for step in range(3):
        train(net, optimizer, step, step + 1)
        straight.update(net)
    resumed = Average(small_net(seed=1), 0.9)
    resumed.load_state_dict(through_a_file(straight.state_dict()))
    for step in range(3, 6):
        train(net, optimizer, step, step + 1)
        straight.update(net)
        resumed.update(net)
    assert same(weights(straight.net), weights(resumed.net))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_averages_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"decay={decay} must be >= 0 and < 1"):
        Average(small_net(), decay)
