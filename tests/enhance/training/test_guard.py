"""The divergence rules, one by one."""

import math

import numpy as np
import pytest
import torch

from enhance.config.training import GuardConfig
from enhance.training.guard import Diverged, Guard, contrast


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


# --- collapse ------------------------------------------------------------------------------------------------------


def test_an_output_that_goes_flat_has_collapsed() -> None:
    guard = Guard(GuardConfig(collapse=0.05))
    guard.check_contrast(0, 0.9)
    guard.check_contrast(100, 0.051)
    with pytest.raises(Diverged) as said:
        guard.check_contrast(200, 0.049)
    assert str(said.value) == (
        "collapse by step 200: the output has 0.049 times the contrast of the input, below 0.05; it has had 0.9"
    )


def test_an_output_that_was_never_lively_has_not_collapsed() -> None:
    guard = Guard(GuardConfig(collapse=0.05))
    for step, share in enumerate([0.0, 0.199, 0.01, 0.0]):
        guard.check_contrast(step, share)
    guard.check_contrast(4, 0.201)
    with pytest.raises(Diverged, match="collapse by step 5"):
        guard.check_contrast(5, 0.01)


def test_collapse_can_be_switched_off() -> None:
    guard = Guard(GuardConfig(collapse=0))
    for step, share in enumerate([1.0, 0.0]):
        guard.check_contrast(step, share)


def test_without_contrast_in_the_input_nothing_can_be_said() -> None:
    guard, plain = Guard(GuardConfig()), torch.full((2, 3, 4, 4), 0.5)
    guard.check_contrast(0, contrast([(plain, torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)))]))
    guard.check_contrast(1, contrast([(plain, plain)]))


def test_what_ends_far_below_the_untouched_input_has_stagnated() -> None:
    guard = Guard(GuardConfig(stagnation=3))
    for gain_db in (4.0, 0.0, -3.0):
        guard.check_gain(300, gain_db)
    with pytest.raises(Diverged) as said:
        guard.check_gain(300, -3.01)
    assert said.value.kind == "stagnation"
    assert str(said.value) == (
        "stagnation by step 300: after the full budget the PSNR is 3.01 dB below the untouched input's, more than 3"
    )


def test_stagnation_is_off_where_no_limit_is_set() -> None:
    Guard(GuardConfig()).check_gain(300, -50.0)


def test_the_memory_goes_with_the_state() -> None:
    first, second = Guard(GuardConfig()), Guard(GuardConfig())
    first.check(25, 2.0, 1.0)
    first.check_contrast(25, 0.8)
    second.load_state_dict(first.state_dict())
    with pytest.raises(Diverged, match=r"the first window's 2$"):
        second.check(50, 1e9, 1.0)
    with pytest.raises(Diverged, match=r"it has had 0.8$"):
        second.check_contrast(50, 0.0)


def test_contrast_is_that_of_the_clipped_output_over_the_input() -> None:
    random = torch.Generator().manual_seed(0)
    inputs, outputs = (torch.rand(5, 3, 6, 4, generator=random) for _ in range(2))
    outputs = 3 * outputs - 1
    numerator, denominator = (
        np.mean([np.sqrt(np.mean([channel.var() for channel in picture])) for picture in images.numpy().clip(0, 1)])
        for images in (outputs, inputs)
    )
    batches = [(inputs[:3], outputs[:3]), (inputs[3:], outputs[3:])]
    assert contrast(batches) == pytest.approx(numerator / denominator, rel=1e-5)
    assert contrast([(inputs, 0.5 * inputs + 0.1)]) == pytest.approx(0.5, rel=1e-5)


def test_a_plain_color_has_no_contrast() -> None:
    """Whatever its hue: the channels' means do not count."""
    inputs = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    brown = torch.tensor([0.6, 0.4, 0.2])[None, :, None, None].expand_as(inputs)
    assert contrast([(inputs, brown)]) == pytest.approx(0, abs=1e-6)
