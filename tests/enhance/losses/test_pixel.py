"""enhance.losses.pixel against numpy."""

import numpy as np
import pytest

from enhance.losses import pixel
from tests.enhance.losses.pictures import images


@pytest.mark.slow
def test_pixel_norms() -> None:
    x, y = images(seed=0), images(seed=1)
    difference = (x - y).double().numpy()
    assert pixel.l1(x, y).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert pixel.mse(x, y).item() == pytest.approx((difference**2).mean(), rel=1e-5)
