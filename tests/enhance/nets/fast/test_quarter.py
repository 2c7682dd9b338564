"""Colors as a polynomial, and branches that fold into plain convolutions."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from enhance.nets import build
from enhance.nets.fast.quarter import Branches, Color, Quarter, statistics
from tests.enhance.nets.small import count, noise


def small(**options: Any) -> Quarter:
    net = build("quarter", seed=0, **{"channels": 4, "blocks": 2, **options})
    assert isinstance(net, Quarter)
    return net


def away_from_the_start(net: Quarter) -> Quarter:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    return net


def unfolded(branches: Branches, x: Tensor) -> Tensor:
    """The branches, one by one."""
    pad = branches.padding
    y = F.conv2d(x, branches.main.weight, branches.main.bias, padding=pad)
    if branches.point is not None:
        y = y + F.conv2d(x, branches.point.weight)
        y = y + F.conv2d(F.conv2d(x, branches.widen.weight), branches.narrow.weight, padding=pad)
    return y + x if branches.skip else y


def polynomial(x: Tensor, coefficients: Tensor) -> Tensor:
    """The correction of one picture (3, H, W) by (3, 20) coefficients, term by term."""
    r, g, b = x
    second = [r * r, r * g, r * b, g * g, g * b, b * b]
    third = [r**3, r * r * g, r * r * b, r * g * g, r * g * b, r * b * b, g**3, g * g * b, g * b * b, b**3]
    terms = torch.stack([torch.ones_like(r), r, g, b, *second, *third])
    return torch.einsum("ck,khw->chw", coefficients, terms)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_folded_branches_are_exact(kernel: int) -> None:
    net = away_from_the_start(small(kernel=kernel)).double()
    for branches in (module for module in net.modules() if isinstance(module, Branches)):
        x = torch.randn(2, branches.main.in_channels, 7, 6, generator=torch.Generator().manual_seed(1)).double()
        torch.testing.assert_close(branches(x), unfolded(branches, x), rtol=1e-12, atol=1e-12)
        expected = unfolded(branches.float(), x.float())
        assert (branches(x.float()) - expected).abs().max() < 1e-6 * expected.abs().max()


def test_forward_by_hand() -> None:
    net, x = away_from_the_start(small(factor=2)), noise(2, 12, 10)
    assert isinstance(net.color, Color)
    seen = torch.cat((x.mean((2, 3)), x.var((2, 3), correction=0).add(1e-6).sqrt()), dim=1)
    torch.testing.assert_close(statistics(x), seen)
    inner = torch.cat((seen, F.relu(net.color.hidden(seen))), dim=1)
    coefficients = net.color.last(inner).view(2, 3, 20)
    colored = x + torch.stack([polynomial(image, own) for image, own in zip(x, coefficients, strict=True)])
    y = F.pixel_unshuffle(colored, 2)
    for layer in net.body:
        y = F.relu(unfolded(layer[0], y))
    expected = colored + F.pixel_shuffle(unfolded(net.last, y), 2)
    torch.testing.assert_close(net(x), expected, rtol=1e-5, atol=1e-5)


def test_it_starts_near_the_input() -> None:
    x = noise(2, 32, 32)
    for options in ({"blocks": 0}, {"blocks": 4}, {"branches": "one"}, {"color": "grid"}, {"color": "none"}):
        net = build("quarter", seed=1, **options)
        assert 0 < (net(x) - x).square().mean().sqrt() < 0.05


def test_counts() -> None:
    c, folded, shown = 8, 48, 6 + 16
    one = 9 * (folded * c + 2 * c * c + c * folded) + 3 * c + folded
    color = 6 * 16 + 16 + shown * 60 + 60
    assert count(build("quarter", seed=0, channels=c, branches="one")) == one + color
    assert count(build("quarter", seed=0, channels=c, branches="one", color="none")) == one
    assert (
        count(build("quarter", seed=0, channels=c, branches="one", color="affine"))
        == one + 6 * 16 + 16 + shown * 12 + 12
    )
    assert count(build("quarter", seed=0, channels=c, branches="one", color="grid")) == one + 482_080
    more = sum(a * b + 2 * a * a + 9 * 2 * a * b for a, b in ((folded, c), (c, c), (c, c), (c, folded)))
    assert count(build("quarter", seed=0, channels=c)) == one + color + more


def test_what_it_is_meant_to_see_depends_on_its_colors() -> None:
    from enhance.config.fast_nets import QuarterConfig

    assert {QuarterConfig(color=color).view for color in ("cubic", "affine", "grid")} == {"photo"}
    assert QuarterConfig(color="none").view == "patch"


def test_a_plain_picture_has_finite_gradients() -> None:
    net, x = small(), torch.full((1, 3, 16, 16), 0.25, requires_grad=True)
    net(x).square().mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
