"""--set: settings are applied together, whatever their order, and what they take out of a sweep is said."""

import itertools
from collections.abc import Mapping

import pytest

from enhance.config import Scalar
from sweeps import fast_arch, loss_terms, loss_weights, optimizers, stability
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.options import parse
from sweeps.engine.cli.settings import apply_settings
from sweeps.engine.command import run
from sweeps.engine.designs import Ablation, Grid, OneAtATime
from sweeps.engine.space import Choice, Integer, Uniform, When, pinned
from sweeps.engine.sweep import Sweep, SweepError
from tests.sweeps.engine.pretended import small_sweep

GROWN = ("net.family=unet", "net.levels=3", "net.init=pix2pix", "loss.tv=0")


def in_every_order(sweep: Sweep, *settings: str) -> tuple[Sweep, str]:
    """The sweep with the settings, which must not depend on their order."""
    found = [apply_settings(sweep, order) for order in itertools.permutations(settings)]
    assert all(other[0] == found[0][0] for other in found)
    return found[0]


def test_a_family_that_is_set_leaves_its_own_parameters_in_the_search() -> None:
    sweep, said = in_every_order(fast_arch.OPEN, "net.family=shuffle")
    assert sweep.fixed["net.family"] == "shuffle"
    assert sweep.space["net.factor"] == Choice(2, 4)
    assert set(fast_arch.OPEN.space) - set(sweep.space) == {
        "net.family", "net.strided_kernel", "net.color", "net.vertices",
    }  # fmt: skip
    assert sweep.enqueue == {}  # a resnet's settings and a strided network's
    assert "no longer searched: net.family" in said
    assert "net.strided_kernel" in said
    assert "not tried first: 3/16/1, 3-4 16-64, image-adaptive 3D LUT, HDRNet" in said


def test_a_family_and_its_parameter_are_set_in_any_order() -> None:
    sweep, _ = in_every_order(fast_arch.OPEN, "net.family=shuffle", "net.factor=2", "net.channels=16")
    assert {name: sweep.fixed[name] for name in ("net.family", "net.factor", "net.channels")} == {
        "net.family": "shuffle", "net.factor": 2, "net.channels": 16,
    }  # fmt: skip
    assert list(sweep.space) == ["net.kernel", "net.blocks", "net.activation", "net.norm", "net.init"]


def test_what_the_sweep_fixed_of_another_family_goes() -> None:
    sweep, said = in_every_order(loss_weights.SWEEP, "net.family=srcnn")
    assert {"net.kernel", "net.blocks", "net.norm"} == set(loss_weights.SWEEP.fixed) - set(sweep.fixed)
    assert "net.kernel, net.blocks, net.norm" in said
    assert sweep.enqueue == loss_weights.SWEEP.enqueue
    sweep, _ = in_every_order(loss_weights.SWEEP, *GROWN)
    assert sweep.config(sweep.enqueue["DPED code"]).net.minimum_px == 8
    full, _ = in_every_order(loss_weights.SWEEP.at("full"), "net.family=srcnn")
    assert full.config(full.enqueue["DPED code"]).net.family == "srcnn"


def test_a_curve_takes_the_parameters_of_its_base() -> None:
    sweep, said = in_every_order(
        loss_weights.SWEEP, "net.base=shuffle", "net.family=curve", "net.factor=2", "net.degree=2"
    )
    assert sweep.config(sweep.enqueue["DPED code"]).net.multiple_of == 2
    assert said == ""


def test_a_parameter_of_one_searched_family_keeps_its_condition() -> None:
    sweep, said = in_every_order(fast_arch.OPEN, "net.factor=2", "net.kernel=3")
    assert sweep.space["net.factor"] == When("net.family", ("shuffle", "quarter"), Choice(2))
    assert "net.factor" not in sweep.fixed
    assert said == "no longer searched: net.kernel, net.factor"
    sweep, _ = apply_settings(optimizers.SWEEP, ["optimizer.alpha=0.9"])
    assert sweep.enqueue["EnhanceGAN re-implemented"]["optimizer.alpha"] == 0.9
    space = {
        "net.family": Choice("resnet", "curve"),
        "net.base": When("net.family", "curve", Choice("resnet", "unet")),
        "net.levels": When("net.base", "unet", Choice(2, 3)),
    }
    assert list(pinned(space, "net.base", "resnet")) == ["net.family", "net.base"]
    assert list(pinned(space, "net.base", "unet")) == list(space)


def test_conditions_upon_conditions_are_resolved_in_any_order() -> None:
    space = {
        "loss.pixel_norm": Choice("l1", "mse"),
        "augment.flips": When("loss.pixel_norm", "l1", Choice(True, False)),
        "augment.contrast": When("augment.flips", True, Choice(0.0, 0.1)),
    }
    for flips, left in (("true", ["augment.contrast"]), ("false", [])):
        sweep = small_sweep(space={**space, "loss.tv": Uniform(0.0, 1.0)}, enqueue={})
        changed, _ = in_every_order(sweep, "loss.pixel_norm=mse", f"augment.flips={flips}")
        assert list(changed.space) == [*left, "loss.tv"]


def test_a_named_point_that_the_settings_contradict_is_not_tried() -> None:
    sweep, said = apply_settings(loss_terms.SWEEP, ["loss.pixel=50"])
    assert list(sweep.enqueue) == ["DPED MSE+texture", "DPED MSE", "pix2pix x 3 L1"]
    assert "not tried first: DPED color+content+texture" in said
    sweep, _ = apply_settings(optimizers.SWEEP, ["optimizer.name=adam"])
    assert list(sweep.enqueue) == ["DPED", "pix2pix x 3"]


def test_a_design_goes_on_with_what_is_left() -> None:
    sweep, _ = apply_settings(loss_terms.SWEEP, ["loss.tv=0"])
    assert isinstance(sweep.design, Ablation)
    assert "loss.tv" not in sweep.design.base
    sweep, _ = apply_settings(stability.SWEEP, ["optimizer.lr=1e-3"])
    assert sweep.design == Grid()
    space = {"loss.color": Uniform(0.0, 1.0), "train.batch_size": Integer(2, 4)}
    design = OneAtATime({"loss.color": 0.5, "train.batch_size": 2}, levels=3)
    one, _ = apply_settings(small_sweep(space=space, enqueue={}, design=design), ["loss.color=0.2"])
    assert one.design == OneAtATime({"train.batch_size": 2})
    off = Ablation({"loss.color": 0.5, "train.batch_size": 3}, off={"loss.color": 0.0, "train.batch_size": 2})
    one, _ = apply_settings(small_sweep(space=space, enqueue={}, design=off), ["loss.color=0.2"])
    assert one.design == Ablation({"train.batch_size": 3}, off={"train.batch_size": 2})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["net.levels=3"], ["it belongs to net.family=unet", "here net.family=resnet", "--set net.family=unet"]),
        (["net.base=unet"], ["it belongs to net.family=curve", "--set net.family=curve"]),
        (["net.levels=3", "net.family=srcnn"], ["net.levels=3", "here net.family=srcnn", "--set net.family=unet"]),
        (["net.family=unett", "net.levels=3"], ["net.family='unett'", "choose from srcnn, resnet"]),
        (
            ["net.levels=3", "net.chanels=4", "net.norm=layer"],
            ["net.levels=3", "net.channels", "instance, batch, none"],
        ),
        (["net.family=shuffle", "net.kernel=4"], ["net.kernel=4", "odd"]),
        (["net.channels=4", "net.blocks"], ["--set net.blocks: write NAME=VALUE"]),
        (["loss.color=1", "loss.tv=1"], ["loss.color=1", "loss.tv=1", "nothing is left", "small"]),
    ],
)
def test_what_is_missing_is_named_in_any_order(settings: list[str], said: list[str]) -> None:
    for order in itertools.permutations(settings):
        with pytest.raises(UsageError) as refused:
            apply_settings(small_sweep(), order)
        assert all(part in str(refused.value) for part in said)


def test_a_parameter_that_the_sweep_does_not_search_needs_its_family() -> None:
    with pytest.raises(UsageError, match=r"net\.family=strided, and this sweep searches net\.family; add --set"):
        apply_settings(fast_arch.OPEN, ["net.skips=paper"])
    with pytest.raises(UsageError, match=r"searches net\.family among resnet, strided"):
        apply_settings(fast_arch.GRID, ["net.factor=2"])


def test_a_conflict_is_said_once() -> None:
    with pytest.raises(SweepError) as refused:
        apply_settings(loss_weights.SWEEP, ["net.family=unet"])
    assert len(refused.value.problems) == 1
    assert "train.crop_px=32 does not suit net.family=unet" in refused.value.problems[0]


def test_a_later_setting_of_one_name_counts() -> None:
    values: Mapping[str, Scalar] = apply_settings(small_sweep(), ["net.channels=8", "net.channels=16"])[0].fixed
    assert values["net.channels"] == 16


def test_the_plan_says_what_the_settings_took_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(fast_arch.OPEN, ["--dry-run", "--workers", "0", "--set", "net.factor=2", "--set", "net.family=shuffle"])
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "no longer searched: net.family, net.factor; left out, as part of other choices: net.strided_kernel" in said
    varies, _, fixed = said.partition("fixed: ")
    assert "net.factor=2 net.family=shuffle" in fixed
    assert "net.strided_kernel 3" not in varies
    assert parse(small_sweep(), ["--set", "net.channels=8"], "x")[1].settings == ""
