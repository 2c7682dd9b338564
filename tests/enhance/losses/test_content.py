"""enhance.losses.content: every norm at every layer against torchvision."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from enhance.config.training import LossConfig
from enhance.losses import Losses, content
from enhance.losses.vgg import INPUTS, LAYERS
from tests.enhance.losses.pictures import images
from tests.enhance.losses.vgg_oracle import CUTS, normalized


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("normalization", INPUTS)
@pytest.mark.slow
def test_content_agrees_with_torchvision(
    layer: str, normalization: str, reference: nn.Sequential, weights_file: str
) -> None:
    x, y = images(seed=0), images(seed=1)
    seen_x, seen_y = (reference[: CUTS[layer]](normalized(picture, normalization)) for picture in (x, y))
    difference = (seen_x - seen_y).double().numpy()
    expected = {
        "mse": (difference**2).mean(),
        "l1": np.abs(difference).mean(),
        "paper": np.mean([np.linalg.norm(one.ravel()) / one.size for one in difference]),
    }
    for form, value in expected.items():
        config = LossConfig(
            content=1.0,
            content_layer=layer,
            content_norm=form,
            vgg_input=normalization,
            vgg_weights=weights_file,
        )
        assert Losses(config, "cpu")(x, y)["content"].item() == pytest.approx(value, rel=1e-3), form


def test_the_paper_norm_falls_with_the_patch() -> None:
    x = torch.zeros(1, 4, 8, 8)
    small, large = content.paper(x, x + 0.5), content.paper(x.repeat(1, 1, 2, 2), x.repeat(1, 1, 2, 2) + 0.5)
    assert small.item() == pytest.approx(0.5 / math.sqrt(4 * 8 * 8))
    assert large.item() == pytest.approx(small.item() / 2)
