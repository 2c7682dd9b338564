"""enhance.losses.tv: both forms against numpy and loops, and on a flat image."""

import math

import numpy as np
import pytest
import torch

from enhance.losses import tv
from tests.enhance.losses.pictures import images


def test_tv_code_by_hand() -> None:
    x = images(height=20, width=31)
    picture = x.double().numpy()
    dx, dy = np.diff(picture, axis=3), np.diff(picture, axis=2)
    assert tv.tv_code(x).item() == pytest.approx((dx**2).mean() + (dy**2).mean(), rel=1e-5)


def test_tv_paper_by_loops() -> None:
    x = images(height=5, width=7)
    norms = []
    for picture in x.double().numpy():
        total = 0.0
        for channel in picture:
            for row in range(4):
                for column in range(6):
                    here = channel[row, column]
                    total += (channel[row, column + 1] - here + channel[row + 1, column] - here) ** 2
        norms.append(math.sqrt(total) / (3 * 5 * 7))
    assert tv.tv_paper(x).item() == pytest.approx(np.mean(norms), rel=1e-5)


@pytest.mark.parametrize("form", ["code", "paper"])
def test_tv_of_a_flat_image_is_zero_and_has_a_finite_gradient(form: str) -> None:
    flat = torch.full((2, 3, 8, 8), 0.3, requires_grad=True)
    loss = tv.FORMS[form](flat)
    loss.backward()
    assert loss.item() == 0
    assert flat.grad.isfinite().all()
