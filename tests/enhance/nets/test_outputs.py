"""Properties of the outputs of single families: ranges, independence within a batch, identities."""

import pytest
import torch
from torch import nn

from enhance.nets import build, build_net
from tests.enhance.nets.small import VARIANTS, images, noise


@pytest.mark.parametrize(
    "family, low, high",
    [("resnet", -0.08, 1.08), ("johnson", -0.08, 1.08), ("strided", -0.08, 1.08), ("cycle_resnet", 0.0, 1.0)],
)
def test_output_range(family: str, low: float, high: float) -> None:
    config = VARIANTS[family]
    net, x = build_net(config, seed=0), images(config)
    last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    for bias, limit in ((50.0, high), (-50.0, low)):
        nn.init.constant_(last.bias, bias)
        assert net(x).sub(limit).abs().max() < 1e-6


@pytest.mark.parametrize("family", ["resnet", "strided", "cycle_resnet"])
def test_image_does_not_depend_on_its_batch_or_on_eval_with_instance_norm(family: str) -> None:
    config = VARIANTS[family]
    net, x = build_net(config, seed=0), images(config)
    expected = net.train()(x)
    torch.testing.assert_close(net.train()(x[:1]), expected[:1], rtol=0, atol=1e-6)
    assert torch.equal(net.eval()(x), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_shuffle_of_identities_doubles_the_input(factor: int) -> None:
    folded = 3 * factor**2
    net, x = build("shuffle", seed=0, factor=factor, channels=folded, blocks=0), noise(1, 16, 24)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)
    torch.testing.assert_close(net(x), 2 * x)
    nn.init.zeros_(net.last.weight)
    assert torch.equal(net(x), x)
