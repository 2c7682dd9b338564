"""The CurveBlock: Lab there and back, what coefficients mean, gradients out of gamut, phases."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from kornia.color import lab_to_rgb as kornia_lab_to_rgb
from kornia.color import rgb_to_lab
from skimage.color import rgb2lab
from torch import Tensor, nn

from enhance.config.nets import CurveConfig, ResNetConfig, UNetConfig, UNetResNet34Config
from enhance.nets import build_net, parameter_count
from enhance.nets.curve import Curve, CurveBlock, bend, from_scaled_lab, lab_to_rgb, to_scaled_lab

torch.set_num_threads(1)

BASE = ResNetConfig(channels=4, blocks=1, init="he")
CONFIG = CurveConfig(degree=3, base=BASE)


def images(size: int = 12, number: int = 2) -> Tensor:
    return torch.rand(number, 3, size, size, generator=torch.Generator().manual_seed(7))


def cube(low: float, high: float, steps: int = 17) -> Tensor:
    """Every color of a grid over [low, high]^3, as one picture."""
    levels = torch.linspace(low, high, steps)
    return torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).reshape(1, 3, steps, -1)


def block(theta: Tensor, deep_channels: int = 5) -> CurveBlock:
    """A block that predicts `theta`, (3, degree + 1), whatever it sees."""
    made = CurveBlock(deep_channels, theta.shape[1] - 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.head[-1].weight.zero_()
        made.head[-1].bias.copy_(torch.atanh(theta).flatten())
    return made


def through(theta: Tensor, rgb: Tensor) -> Tensor:
    return block(theta)(rgb, torch.zeros(len(rgb), 5, 2, 2))[0]


# --- there and back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-0.08, 1.08), (-1.0, 3.0)])
def test_without_coefficients_nothing_changes(low: float, high: float) -> None:
    """Lab is scaled back: a block that forgets it gives black."""
    torch.testing.assert_close(through(torch.zeros(3, 4), cube(low, high)), cube(low, high), rtol=0, atol=1e-4)


def test_lab_is_the_standard_one_scaled_to_about_one() -> None:
    lab = to_scaled_lab(cube(0, 1))
    oracle = rgb2lab(cube(0, 1)[0].permute(1, 2, 0).double().numpy()) / np.array([100, 110, 110])
    np.testing.assert_allclose(lab[0].permute(1, 2, 0).numpy(), oracle, atol=1e-4)
    assert lab.abs().amax() < 1.01


def test_back_is_kornias_but_for_the_floor_under_z() -> None:
    lab = rgb_to_lab(cube(-0.2, 1.2))
    torch.testing.assert_close(lab_to_rgb(lab), kornia_lab_to_rgb(lab, clip=False), rtol=0, atol=1e-6)
    assert (kornia_lab_to_rgb(rgb_to_lab(cube(-1, 1)), clip=False) - cube(-1, 1)).abs().max() > 0.1  # the floor


def gradient_of(picture: Tensor, back: object) -> Tensor:
    picture = picture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(back(rgb_to_lab(picture)).sum(), picture)  # type: ignore[operator]
    return gradient.abs().sum(1)


OUTSIDE = torch.tensor([[-0.05] * 3, [1.05] * 3, [-0.5, 0.2, 0.2], [0.3, 0.3, -0.9], [1.5, -0.5, 2.0]]).T[
    None, :, :, None
]


def test_gradients_out_of_gamut_do_not_vanish() -> None:
    assert gradient_of(OUTSIDE, kornia_lab_to_rgb)[0, :2].eq(0).all()  # what clipping does: the test can fail
    assert gradient_of(OUTSIDE, lab_to_rgb).min() > 0.5
    blue = OUTSIDE[:, :, 3:4]
    floored = torch.autograd.functional.jacobian(lambda x: kornia_lab_to_rgb(rgb_to_lab(x), clip=False), blue)
    whole = torch.autograd.functional.jacobian(lambda x: lab_to_rgb(rgb_to_lab(x)), blue)
    assert floored[0, 2, 0, 0, 0, 2].abs() < 0.1
    torch.testing.assert_close(whole[0, :, 0, 0, 0, :, 0, 0], torch.eye(3), rtol=0, atol=1e-3)


@pytest.mark.parametrize("level", [-1.0, -0.055, -0.01, 0.0, 0.04045, 0.5, 1.0, 1.08, 2.0])
def test_gradients_at_the_borders_and_on_gray(level: float) -> None:
    gray = torch.full((1, 3, 4, 4), level, requires_grad=True)
    theta = torch.full((1, 3, 4), 0.05, requires_grad=True)
    for leaf in torch.autograd.grad(from_scaled_lab(bend(to_scaled_lab(gray), theta)).square().sum(), (gray, theta)):
        assert leaf.isfinite().all()
        assert leaf.abs().sum() > 0 or level == 0


# --- what the coefficients mean ----------------------------------------------------------------------------------


def test_polynomial_by_hand() -> None:
    x = torch.tensor([0.5, -1.0, 2.0]).view(1, 3, 1, 1)
    theta = torch.tensor([[[0.1, 0.2, 0.4], [0.0, 0.0, -0.5], [-0.3, 0.0, 0.1]]])
    # 0.5 + 0.1 + 0.1 + 0.1; -1 - 0.5; 2 - 0.3 + 0.4
    torch.testing.assert_close(bend(x, theta).flatten(), torch.tensor([0.8, -1.5, 2.1]))


def test_coefficients_belong_to_their_image() -> None:
    x, theta = torch.ones(2, 3, 2, 2), torch.zeros(2, 3, 2)
    theta[1, 0, 1] = 0.5
    y = bend(x, theta)
    assert torch.equal(y[0], x[0])
    assert y[1, 0].eq(1.5).all()
    assert y[1, 1:].eq(1).all()


def test_a_lightness_curve_brightens_and_keeps_the_color() -> None:
    """L 50 with theta_1 = 0.2 is L 60. Gray of L 60: Y = (76/116)^3, sRGB 1.055 Y^(1/2.4) - 0.055."""
    theta = torch.zeros(3, 3)
    theta[0, 1] = 0.2

    def gray(lightness: float) -> float:
        return 1.055 * ((lightness + 16) / 116) ** (3 / 2.4) - 0.055

    bright = through(theta, torch.full((1, 3, 4, 4), gray(50)))
    torch.testing.assert_close(bright, torch.full((1, 3, 4, 4), gray(60)), rtol=0, atol=1e-4)
    colors = 0.3 + 0.3 * images()
    before, after = to_scaled_lab(colors), to_scaled_lab(through(theta, colors))
    torch.testing.assert_close(after[:, 1:], before[:, 1:], rtol=0, atol=1e-4)
    torch.testing.assert_close(after[:, 0], 1.2 * before[:, 0], rtol=0, atol=1e-4)


def test_the_constant_removes_a_color_cast() -> None:
    """Gray with b = 11 too much (yellow) is gray again after theta_0 = -0.1 on b."""
    yellowish = from_scaled_lab(torch.tensor([0.6, 0.0, 0.1]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    theta = torch.zeros(3, 2)
    theta[2, 0] = -0.1
    corrected = through(theta, yellowish)
    assert (yellowish.amax(1) - yellowish.amin(1)).min() > 0.05
    assert (corrected.amax(1) - corrected.amin(1)).max() < 1e-3


# --- the block ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 3, 8])
def test_count_of_the_block(degree: int) -> None:
    config = CurveConfig(degree=degree, base=BASE)
    head = (4 + 6) * 64 + 64 + 64 * 3 * (degree + 1) + 3 * (degree + 1)
    assert parameter_count(build_net(config, 0)) == parameter_count(build_net(BASE, 0)) + head


def test_the_untrained_block_is_nearly_the_identity_and_not_quite() -> None:
    first, second = (CurveBlock(5, 3, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    deep = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    for made in (first, second):
        assert 0 < (made(images(), deep)[0] - images()).abs().mean() < 0.01
    assert not torch.equal(first(images(), deep)[0], second(images(), deep)[0])


def test_coefficients_are_bounded_and_see_color_and_features() -> None:
    made = CurveBlock(5, 3, torch.Generator().manual_seed(0))
    nn.init.normal_(made.head[-1].weight, 0, 5, generator=torch.Generator().manual_seed(0))
    lab, deep = to_scaled_lab(images()), torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    theta = made.coefficients(lab, deep)
    assert theta.shape == (2, 3, 4)
    assert theta.abs().max() <= 1
    assert not torch.equal(made.coefficients(lab, deep * 2), theta)
    assert not torch.equal(made.coefficients(lab * 0.5, deep), theta)


def test_the_block_is_in_float32_under_autocast() -> None:
    made = block(torch.full((3, 4), 0.1))
    deep = torch.zeros(2, 5, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, theta = made(images(), deep.bfloat16())
    assert output.dtype == theta.dtype == torch.float32
    assert torch.equal(output, made(images(), deep)[0])


# --- with a base -------------------------------------------------------------------------------------------------


def test_disabled_it_is_the_base_of_the_same_seed() -> None:
    curve, base = build_net(CONFIG, seed=3), build_net(BASE, seed=3)
    assert isinstance(curve, Curve)
    enabled = curve(images())
    curve.enabled = False
    assert torch.equal(curve(images()), base(images()))
    assert not torch.equal(enabled, base(images()))


def test_a_disabled_block_is_not_run() -> None:
    curve = build_net(CONFIG, seed=0)
    curve.enabled = False
    curve(images()).mean().backward()
    assert curve.signals() == {}
    assert all(parameter.grad is None for parameter in curve.block.parameters())
    assert all(parameter.grad is not None for parameter in curve.base.parameters())


def test_signals_are_the_mean_coefficient_of_the_last_forward() -> None:
    curve = build_net(CONFIG, seed=0)
    assert curve.signals() == {}
    with torch.no_grad():
        curve.block.head[-1].weight.zero_()
        curve.block.head[-1].bias.fill_(math.atanh(-0.25))
    curve(images())
    (name, value), *rest = curve.signals().items()
    assert (name, rest, value.shape, value.requires_grad) == ("control_point", [], (), False)
    assert value.item() == pytest.approx(-0.25)
    curve.enabled = False
    curve(images())
    assert curve.signals() == {}


def test_a_trained_base_is_taken_over() -> None:
    trained = build_net(BASE, seed=8)
    curve = build_net(CONFIG, seed=0)
    curve.base.load_state_dict(trained.state_dict())
    curve.enabled = False
    assert torch.equal(curve(images()), trained(images()))


BASES = [BASE, UNetConfig(levels=3, channels=4), UNetResNet34Config(channels=4)]


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.family)
def test_every_parameter_of_base_and_head_is_trained(base: ResNetConfig) -> None:
    config = CurveConfig(base=base)
    curve, x = build_net(config, seed=0).train(), images(max(16, config.minimum_px))
    assert (curve.multiple_of, curve.minimum_px) == (base.multiple_of, base.minimum_px)
    output, deep = curve.forward_deep(x)
    assert output.shape == x.shape
    assert output.dtype == torch.float32
    assert deep.shape[:2] == (2, curve.deep_channels)
    (output - x).square().mean().backward()
    for name, parameter in curve.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim == 1 or parameter.grad.ne(0).any(), name


def test_the_seed_alone_decides_the_weights() -> None:
    state = torch.get_rng_state()
    first, again, other = (build_net(CONFIG, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if first[name].ndim > 1)


@pytest.mark.slow
def test_the_curve_learns_a_global_change() -> None:
    """With the base held still, the head alone finds a known lightness curve."""
    curve = build_net(dataclasses.replace(CONFIG, degree=2), seed=0).requires_grad_(False)
    curve.block.requires_grad_(True)
    theta = torch.zeros(3, 3)
    theta[0, 1] = 0.3
    target = through(theta, build_net(BASE, seed=0)(images())).detach()
    optimizer = torch.optim.Adam(curve.parameters(), lr=1e-2)
    errors = []
    for _ in range(60):
        error = (curve(images()) - target).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.2 * errors[0]
