"""Learning rates: against torch's schedulers, by hand, and their bounds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from enhance.config.optimizers import AdamConfig, SGDConfig
from enhance.training.optimizers import Optimizer, learning_rate_at
from tests.enhance.training.optimizers.small_training import update


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
        update(optimizer)
        assert before - float(layer.weight.detach()) == pytest.approx(learning_rate_at(config, 8, step))
