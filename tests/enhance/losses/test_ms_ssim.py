"""enhance.losses.ms_ssim: the metric's value, and gradients that are right and finite."""

import pytest
import torch

from enhance.config import canonical_json, from_flat
from enhance.losses.ms_ssim import ms_ssim
from enhance.training import metrics
from tests.enhance.losses.pictures import images


@pytest.mark.parametrize("size", [2, 11, 32, 100])
def test_it_is_what_the_metric_lacks_to_one(size: int) -> None:
    x, noise = torch.rand(3, 3, size, size), torch.rand(3, 3, size, size)
    y = (0.8 * x + 0.2 * noise).clamp(0, 1)
    assert ms_ssim(x, y).item() == pytest.approx(1 - metrics.ms_ssim(x, y).mean().item(), abs=2e-5)
    assert ms_ssim(x, x).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_gradient_is_that_of_finite_differences() -> None:
    x, y = (torch.rand(1, 3, 12, 12, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a: metrics.product(list(metrics.levels(a, y.detach())), 1e-4), (x,))


@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_gradients_are_finite_where_pictures_are_flat_equal_or_inverted(shade: float) -> None:
    y = images(seed=1)
    for start in (torch.full_like(y, shade), y.clone(), 1 - y, y * 3 - 1):
        x = start.requires_grad_()
        loss = ms_ssim(x, y)
        loss.backward()
        assert loss.isfinite()
        assert x.grad is not None
        assert x.grad.isfinite().all()


def test_out_of_range_values_are_drawn_back() -> None:
    y = torch.full((1, 3, 16, 16), 0.9)
    x = torch.full_like(y, 1.2).requires_grad_()
    ms_ssim(x, y).backward()
    assert x.grad is not None
    assert x.grad.sum() > 0


def test_a_configuration_without_it_keeps_its_identity() -> None:
    assert "ms_ssim" not in canonical_json(from_flat({"loss.pixel": 1.0}))
    assert '"loss.ms_ssim":0.84' in canonical_json(from_flat({"loss.pixel": 0.16, "loss.ms_ssim": 0.84}))
