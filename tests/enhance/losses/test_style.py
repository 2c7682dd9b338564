"""enhance.losses.style: Gram matrices by hand, the term against torchvision, and its invariances."""

import numpy as np
import pytest
import torch
from torch import nn

from enhance.config.training import LossConfig
from enhance.losses import Losses
from enhance.losses.style import gram, style, style_layers
from tests.enhance.losses.pictures import images
from tests.enhance.losses.vgg_oracle import CUTS, normalized


def test_gram_by_hand() -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    f = x.double().numpy()
    for n, i, j in np.ndindex(2, 3, 3):
        assert gram(x)[n, i, j].item() == pytest.approx((f[n, i] * f[n, j]).sum() / (3 * 4 * 5), rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_style_agrees_with_torchvision(reference: nn.Sequential, weights_file: str) -> None:
    x, y = images(seed=0), images(seed=1)
    expected, values = 0.0, {}
    for layer, cut in CUTS.items():
        grams = []
        for picture in (x, y):
            f = reference[:cut](normalized(picture, "torchvision")).double().numpy()
            grams.append(np.einsum("nihw,njhw->nij", f, f) / f[0].size)
        expected += (np.linalg.norm(grams[0] - grams[1], axis=(1, 2)) ** 2).mean()
        config = LossConfig(style=1.0, style_layer=layer, vgg_weights=weights_file)
        values[layer] = Losses(config, "cpu")(x, y)["style"].item()
        assert values[layer] == pytest.approx(expected, rel=1e-3), layer
    assert sorted(values.values()) == list(values.values())  # every layer adds


def test_style_does_not_care_where_things_are() -> None:
    maps = {layer: torch.rand(2, 4, 6, 6) for layer in style_layers("relu2_2")}
    moved = {layer: value.roll((1, 2), dims=(2, 3)).flip(3).repeat(1, 1, 2, 1) for layer, value in maps.items()}
    assert style(maps, moved, "relu2_2").item() == pytest.approx(0, abs=1e-9)
    mixed = {layer: value.flip(1) for layer, value in maps.items()}
    assert style(maps, mixed, "relu2_2").item() > 1e-4


def test_gram_is_not_cast() -> None:
    x = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = gram(x)
        assert cast.dtype == torch.float32
    assert torch.equal(cast, gram(x))
