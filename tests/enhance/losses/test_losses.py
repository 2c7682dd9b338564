"""enhance.losses.Losses: terms and weights, options, precision, gradients, and the cost of a zero weight."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from enhance import losses
from enhance.config import domains
from enhance.config.training import LossConfig
from enhance.losses import RULE_TERMS, TERMS, Losses, content, pixel, tv
from enhance.losses.color import BLURS, ColorLoss
from enhance.losses.ms_ssim import ms_ssim
from enhance.losses.style import style
from enhance.losses.vgg import INPUTS, VGG19Features
from tests.enhance.losses.pictures import images
from tests.places import ROOT


@pytest.mark.parametrize(
    "leaf, table",
    {
        "content_norm": content.NORMS,
        "vgg_input": INPUTS,
        "pixel_norm": pixel.NORMS,
        "color_blur": BLURS,
        "tv_form": tv.FORMS,
    }.items(),
)
def test_every_choice_is_implemented_and_no_other(leaf: str, table: dict[str, object]) -> None:
    assert set(table) == set(domains()[f"loss.{leaf}"].choices)


WEIGHTS = {"pixel": 1.0, "color": 2.0, "content": 4.0, "style": 6.0, "ms_ssim": 9.0, "tv": 5.0}
ALL = LossConfig(**WEIGHTS, adversarial=3.0, cycle=7.0, identity=8.0, content_layer="relu2_2", style_layer="relu1_2")


def test_every_weight_of_the_configuration_has_a_term() -> None:
    weights = [name for name in LossConfig.__dataclass_fields__ if domains()[f"loss.{name}"].kind is float]
    assert [*TERMS, *RULE_TERMS] == weights


def test_terms_are_unweighted_and_total_weighs_them() -> None:
    x, y = images(seed=0), images(seed=1)
    terms_of = Losses(ALL, "cpu")
    assert terms_of.weights == {**WEIGHTS, "adversarial": 3.0, "cycle": 7.0, "identity": 8.0}
    assert all(weight.dtype == torch.float32 and weight.shape == () for weight in terms_of.weights.values())
    terms = terms_of(x, y)
    maps_x, maps_y = (VGG19Features(["relu1_2", "relu2_2"], "random")(picture) for picture in (x, y))
    expected = {
        "pixel": pixel.l1(x, y),
        "color": ColorLoss("code")(x, y),
        "content": pixel.mse(maps_x["relu2_2"], maps_y["relu2_2"]),
        "style": style(maps_x, maps_y, "relu1_2"),
        "ms_ssim": ms_ssim(x, y),
        "tv": tv.tv_code(x),
    }
    assert list(terms) == list(expected)
    assert all(torch.equal(terms[name], value) and value.shape == () for name, value in expected.items())
    ruled = {"cycle": torch.tensor(0.5), **terms, "adversarial": torch.tensor(-0.25)}
    weighted = [getattr(ALL, name) * value.item() for name, value in ruled.items()]
    assert terms_of.weighted(ruled).tolist() == pytest.approx(weighted, rel=1e-6)
    assert terms_of.total(ruled).item() == pytest.approx(sum(weighted), rel=1e-6)
    terms_of.weights["cycle"].fill_(0.0)  # a phase changes a weight this way
    assert terms_of.total(ruled).item() == pytest.approx(sum(weighted) - 3.5, rel=1e-6)


def test_content_and_style_share_one_pass_and_keep_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = images(seed=0), images(seed=1)
    layers = {"content_layer": "relu1_2", "style_layer": "relu3_4"}
    alone = {
        name: Losses(LossConfig(**{name: 1.0}, **layers), "cpu")(x, y)[name].item() for name in ("content", "style")
    }
    passes = []
    see = VGG19Features.__call__
    monkeypatch.setattr(VGG19Features, "__call__", lambda self, picture: passes.append(1) or see(self, picture))
    both = Losses(LossConfig(content=1.0, style=1.0, **layers), "cpu")(x, y)
    assert {name: value.item() for name, value in both.items()} == pytest.approx(alone, rel=1e-6)
    assert len(passes) == 2  # the output's and the target's


VARIANTS = [
    {"pixel": 1.0, "pixel_norm": "mse"},
    {"color": 1.0, "color_blur": "paper"},
    {"content": 1.0, "content_layer": "relu2_2"},
    {"content": 1.0, "content_norm": "l1"},
    {"content": 1.0, "content_norm": "paper"},
    {"content": 1.0, "vgg_input": "dped"},
    {"style": 1.0, "style_layer": "relu2_2"},
    {"style": 1.0, "vgg_input": "dped"},
    {"tv": 1.0, "tv_form": "paper"},
]


def named(options: dict[str, object]) -> str:
    return "-".join(map(str, options.values()))


@pytest.mark.parametrize("options", VARIANTS, ids=named)
def test_no_option_is_ignored(options: dict[str, object]) -> None:
    name, _ = options
    x, y = images(seed=0), images(seed=1)
    default = Losses(LossConfig(**{name: 1.0}), "cpu")(x, y)[name].item()
    assert Losses(LossConfig(**options), "cpu")(x, y)[name].item() != pytest.approx(default, rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("options", [*VARIANTS, *({name: 1.0} for name in TERMS)], ids=named)
def test_no_term_depends_on_the_batch_size(options: dict[str, object]) -> None:
    name, x, y = next(iter(options)), images(4, seed=0), images(4, seed=1)
    term = Losses(LossConfig(**options), "cpu")
    one_by_one = [term(x[i : i + 1], y[i : i + 1])[name].item() for i in range(4)]
    assert term(x, y)[name].item() == pytest.approx(np.mean(one_by_one), rel=1e-4)


def test_a_zero_weight_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a term of weight zero was built")

    monkeypatch.setattr(losses, "VGG19Features", refuse)
    monkeypatch.setattr(losses, "ColorLoss", refuse)
    terms_of = Losses(LossConfig(pixel=1.0), "cpu")
    assert list(terms_of(images(seed=0), images(seed=1))) == list(terms_of.weights) == ["pixel"]
    for name in ("color", "content", "style"):
        with pytest.raises(AssertionError, match="was built"):
            Losses(LossConfig(**{"pixel": 1.0, name: 1e-9}), "cpu")


@pytest.mark.slow
def test_torchvision_is_not_imported_without_its_weights() -> None:
    code = (
        "import sys; from enhance.config.training import LossConfig; from enhance.losses import Losses;"
        "Losses(LossConfig(pixel=1.0, content=1.0, content_layer='relu1_2'), 'cpu');"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


class NoWaiting(TorchDispatchMode):
    """Refuses what makes the program wait for the values on a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "aten.equal.")
        assert not any(name in str(func) for name in waits), func
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device() -> None:
    x, y, terms_of = images(seed=0).requires_grad_(), images(seed=1), Losses(ALL, "cpu")
    with NoWaiting():
        terms_of.total(terms_of(x, y)).backward()
    with NoWaiting(), pytest.raises(AssertionError):
        x.sum().item()


@pytest.mark.parametrize("norm", content.NORMS)
def test_gradients_of_every_term_are_finite_also_where_output_equals_target(norm: str) -> None:
    x = images().requires_grad_()
    terms_of = Losses(LossConfig(**WEIGHTS, content_norm=norm), "cpu")
    terms_of.total(terms_of(x, x.detach().clone())).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("blur", BLURS)
def test_picture_terms_stay_in_float32_under_autocast(blur: str) -> None:
    x, y = images(seed=0), images(seed=1)
    terms_of = Losses(LossConfig(pixel=1.0, color=1.0, tv=1.0, color_blur=blur), "cpu")
    plain = terms_of(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = terms_of(x, y)
        assert terms_of.total(cast).dtype == torch.float32
    assert all(torch.equal(plain[name], cast[name]) for name in plain)
    half = terms_of(x.bfloat16(), y.bfloat16())
    assert all(value.dtype == torch.float32 for value in half.values())


@pytest.mark.slow
@pytest.mark.parametrize("normalization", INPUTS)
@pytest.mark.parametrize("norm", content.NORMS)
def test_feature_terms_are_near_float32_under_autocast(norm: str, normalization: str) -> None:
    config = LossConfig(content=1.0, style=1.0, content_norm=norm, vgg_input=normalization)
    x, y, terms_of = images(seed=0).requires_grad_(), images(seed=1), Losses(config, "cpu")
    plain = terms_of(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = terms_of(x, y)
    for name, value in cast.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(plain[name].item(), rel=0.03), name  # bfloat16 has 8 bits
    terms_of.total(cast).backward()
    assert x.grad.isfinite().all()


def test_a_nan_is_never_hidden() -> None:
    x, y = images(seed=0), images(seed=1)
    x[0, 0, 5, 5] = math.nan
    assert all(value.isnan() for value in Losses(ALL, "cpu")(x, y).values())


def test_terms_without_a_target() -> None:
    x = images()
    assert Losses(LossConfig(tv=1.0, cycle=10.0), "cpu")(x, None) == {"tv": tv.tv_code(x)}
    assert Losses(LossConfig(adversarial=1.0, cycle=10.0, identity=5.0), "cpu")(x, None) == {}
    with pytest.raises(ValueError, match=r"target is missing, and the terms pixel, style"):
        Losses(LossConfig(pixel=1.0, style=1.0, tv=1.0, style_layer="relu1_2"), "cpu")(x, None)


def test_bad_calls_are_refused() -> None:
    x = images()
    with pytest.raises(
        ValueError, match=r"must be above 0.*pixel, color, content, style, ms_ssim, tv, adversarial, cycle, ident"
    ):
        Losses(LossConfig(), "cpu")
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\) and target \(1, 3, 32, 32\) must have the same shape"):
        Losses(LossConfig(pixel=1.0), "cpu")(x, x[:1])
