"""enhance.losses.cycle against numpy."""

import numpy as np
import pytest
import torch

from enhance import losses
from enhance.losses import cycle, identity
from tests.enhance.losses.pictures import images


@pytest.mark.parametrize("term", [cycle, identity])
def test_cycle_and_identity_are_mean_absolute_differences(term: losses.PairedTerm) -> None:
    x, y = images(seed=0), images(seed=1)
    assert term(x, y).item() == pytest.approx(np.abs((x - y).double().numpy()).mean(), rel=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert term(x.bfloat16(), y).dtype == torch.float32
