"""The divergence rules, one by one."""

import math

import pytest

from enhance.config.training import GuardConfig
from enhance.guard import Diverged, Guard


def test_ordinary_training_breaks_no_rule() -> None:
    guard = Guard(GuardConfig(explosion=10))
    for step, size in enumerate([1.0, 9.9, 0.1, 5.0]):
        guard.check(step, size, 3.0)


@pytest.mark.parametrize(("size", "grad_norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_what_is_not_finite_is_named(size: float, grad_norm: float) -> None:
    with pytest.raises(Diverged) as said:
        Guard(GuardConfig()).check(25, size, grad_norm)
    assert said.value.kind == "nan"
    assert "by step 25" in str(said.value)


def test_an_explosion_is_measured_against_the_first_window() -> None:
    guard = Guard(GuardConfig(explosion=10))
    guard.check(25, 2.0, 1.0)
    guard.check(50, 20.0, 1.0)
    with pytest.raises(Diverged, match=r"explosion by step 75: .*above 10 times the first window's 2"):
        guard.check(75, 20.1, 1.0)
