"""Configurations: names, domains, one text, one digest."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.ledger.schema import ADDED_LEAVES
from enhance.config import (
    VARIANTS,
    Config,
    ConfigError,
    Scalar,
    added_leaves,
    canonical_json,
    conflicts,
    device_conflicts,
    digest,
    domains,
    flatten,
    from_flat,
)
from enhance.config.nets import BASE_CONFIGS, CurveConfig
from enhance.config.training import LossConfig


def test_flat_and_nested_names_are_two_views_of_one_configuration() -> None:
    config = from_flat({"net.channels": 16, "loss.color": 2, "optimizer.lr": 1e-3})
    assert (config.net.channels, config.loss.color, config.optimizer.lr) == (16, 2.0, 1e-3)
    assert from_flat(flatten(config)) == config
    assert set(flatten(config)) == set(domains())


def test_every_problem_is_said_at_once_with_value_rule_and_choices() -> None:
    wrong = {
        "net.chanels": 3,
        "net.kernel": 16,
        "net.norm": "layer",
        "loss.color": -1.0,
        "train.steps": 1.5,
        "augment.flips": 1,
        "optimizer.lr": float("nan"),
    }
    with pytest.raises(ConfigError) as refused:
        from_flat(wrong)  # type: ignore[arg-type]
    assert len(refused.value.problems) == len(wrong)
    said = str(refused.value)
    for part in (
        "did you mean net.channels",
        "net.kernel=16 is not allowed: it must be a whole number from 1 to 15",
        "choose from instance, batch, none",
        "it must be a number of at least 0",
        "train.steps=1.5 must be a whole number, not float",
        "augment.flips=1 must be true or false, not int",
        "optimizer.lr=nan must be finite",
    ):
        assert part in said


def test_an_unknown_family_is_refused_with_the_families() -> None:
    with pytest.raises(ConfigError, match=r"net.family='resnot'.*choose from srcnn, resnet"):
        from_flat({"net.family": "resnot"})


def test_the_digest_depends_on_values_and_on_nothing_else() -> None:
    one = from_flat({"loss.color": 1.0, "net.channels": 16})
    other = from_flat({"net.channels": 16, "loss.color": 1})
    assert canonical_json(one) == canonical_json(other)
    assert digest(one) == digest(other) != digest(Config())


@given(st.floats(0, 1e6, allow_nan=False), st.integers(1, 1024))
def test_the_text_of_a_configuration_loses_nothing(weight: float, channels: int) -> None:
    import json

    config = from_flat({"loss.color": weight, "net.channels": channels})
    assert from_flat(json.loads(canonical_json(config))) == config


def test_every_default_obeys_its_own_law() -> None:
    known = domains()
    assert [p for name, value in flatten(Config()).items() if (p := known[name].problem(name, value))] == []


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().loss.color = 1.0  # type: ignore[misc]
    assert dataclasses.replace(LossConfig(), color=1.0).color == 1.0


CHOICES = [(name, choice) for name, (_, table, _) in VARIANTS.items() if name != "net.base" for choice in table]


@pytest.mark.parametrize(("name", "choice"), CHOICES)
def test_every_variant_has_its_own_leaves_and_survives_the_flat_form(name: str, choice: str) -> None:
    config = from_flat({name: choice})
    flat = flatten(config)
    assert flat[name] == choice
    assert from_flat(flat) == config
    assert set(flat) == set(domains({name: choice}))
    known = domains({name: choice})
    assert [p for leaf, value in flat.items() if (p := known[leaf].problem(leaf, value))] == []


@pytest.mark.parametrize("base", BASE_CONFIGS)
def test_a_curve_has_the_leaves_of_its_base_beside_its_own(base: str) -> None:
    config = from_flat({"net.family": "curve", "net.base": base, "net.degree": 2})
    assert isinstance(config.net, CurveConfig)
    assert type(config.net.base) is BASE_CONFIGS[base]
    assert from_flat(flatten(config)) == config
    alone = from_flat({"net.family": base}).net
    assert (config.net.multiple_of, config.net.minimum_px, config.net.dtypes) == (
        alone.multiple_of,
        alone.minimum_px,
        alone.dtypes,
    )


def test_no_leaf_of_a_base_is_hidden_by_one_of_the_curve() -> None:
    own = {leaf.name for leaf in dataclasses.fields(CurveConfig)} - {"family"}
    for base in BASE_CONFIGS.values():
        assert own.isdisjoint(leaf.name for leaf in dataclasses.fields(base))


def test_a_leaf_of_another_variant_is_refused_with_the_variant_that_has_it() -> None:
    with pytest.raises(ConfigError, match=r"net.levels .* belongs to net.family=unet"):
        from_flat({"net.levels": 6})
    with pytest.raises(ConfigError, match=r"adversarial.clip .* belongs to adversarial.objective=wasserstein "):
        from_flat({"adversarial.objective": "hinge", "adversarial.clip": 0.1})


CYCLE = {"train.rule": "cycle", "loss.cycle": 10.0, "loss.adversarial": 1.0, "critic.family": "patch"}
CLASHES: list[tuple[dict[str, Scalar], str]] = [
    ({"loss.pixel": 0.0}, "at least one must be above 0"),
    ({"net.family": "unet"}, "must be at least 256 and a multiple of 256"),
    ({"net.family": "unet", "net.levels": 5, "train.crop_px": 48}, "must be at least 32 and a multiple of 32"),
    ({"loss.adversarial": 1.0, "train.crop_px": 16}, "train.crop_px=16 is too small for critic.family=dped"),
    (
        {"net.family": "srcnn", "loss.content": 1.0, "train.crop_px": 8},
        "train.crop_px=8 is too small for loss.content_layer=relu5_4: VGG-19 needs at least 16 px there",
    ),
    (
        {"net.family": "srcnn", "loss.style": 1.0, "train.crop_px": 4},
        "train.crop_px=4 is too small for loss.style_layer=relu4_4: VGG-19 needs at least 8 px there",
    ),
    ({"loss.cycle": 1.0}, "loss.cycle=1 cannot be used by train.rule=paired"),
    ({**CYCLE, "loss.color": 1.0}, "loss.color=1 cannot be used by train.rule=cycle"),
    ({**CYCLE, "critic.conditional": True}, "critic.conditional=True cannot be used by train.rule=cycle"),
    ({**CYCLE, "adversarial.shown": "coin"}, "adversarial.shown=coin cannot be used by train.rule=cycle"),
    ({"cycle.pool_images": 50}, "cycle.* applies to train.rule=cycle only"),
    ({"phases.curve_at": 0.5}, "phases.* applies to train.rule=phased only"),
    ({"train.rule": "phased", "phases.curve_at": 0.5}, "needs net.family=curve, not resnet"),
    ({"train.rule": "phased", "phases.adversarial_at": 0.5}, "needs loss.adversarial above 0"),
    ({"optimizer.hold_share": 0.5}, "no effect with optimizer.schedule=constant"),
    ({"critic_optimizer.schedule": "linear", "critic_optimizer.hold_share": 0.1, "critic_optimizer.warmup_share": 0.2},
     "critic_optimizer.hold_share=0.1 must not be less than critic_optimizer.warmup_share=0.2"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "said"), CLASHES)
def test_parts_that_do_not_go_together_are_named_with_the_reason(values: dict[str, Scalar], said: str) -> None:
    start = {} if values.get("train.rule") == "cycle" else {"loss.pixel": 1.0}
    found = conflicts(from_flat({**start, **values}))
    assert any(said in problem for problem in found), found


def test_batch_norm_under_a_gradient_penalty_is_refused_with_the_reason() -> None:
    """The EnhanceGAN re-implementation had a pretrained critic full of batch norms, under such a penalty."""
    values: dict[str, Scalar] = {
        "loss.adversarial": 1.0,
        "critic.family": "patch",
        "adversarial.objective": "wasserstein_gp",
    }
    assert conflicts(from_flat(values)) == []
    refused = conflicts(from_flat({**values, "critic.norm": "batch"}))
    assert any("batch norm mixes samples; choose instance or none" in problem for problem in refused)
    assert conflicts(from_flat({**values, "loss.adversarial": 0.0, "loss.pixel": 1.0, "critic.norm": "batch"})) == []


def test_what_goes_together_is_not_refused() -> None:
    assert conflicts(from_flat({"loss.pixel": 1.0})) == []
    assert conflicts(from_flat({**CYCLE, "loss.identity": 5.0, "loss.tv": 1.0, "cycle.pool_images": 50})) == []


def test_the_terms_that_laws_know_are_those_that_losses_build() -> None:
    from enhance.config.conflicts import PAIRED_TERMS, TERMS
    from enhance.losses import PAIRED_TERMS as BUILT_PAIRED
    from enhance.losses import RULE_TERMS
    from enhance.losses import TERMS as BUILT

    assert set(TERMS) == {*BUILT, *RULE_TERMS}
    assert set(PAIRED_TERMS) == set(BUILT_PAIRED)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "net.base"])
def test_a_default_stated_twice_is_the_same_one(name: str) -> None:
    part, table, default = VARIANTS[name]
    assert type(getattr(Config(), part)) is table[default]


BEFORE: dict[str, dict[str, Scalar]] = {
    "585f85c1e189bf88": {},
    "beb72f9e45b874c5": {"net.family": "curve", "loss.pixel": 1.0},
    "58f4762375a5e221": {"train.dtype": "bf16", "loss.color": 0.5},
}
"""Digests that these configurations had before any leaf was added."""


@pytest.mark.parametrize("before", BEFORE)
def test_a_leaf_that_a_release_adds_does_not_change_what_was_trained_before(before: str) -> None:
    config = from_flat(BEFORE[before])
    assert digest(config) == before
    for name, value in added_leaves(config).items():
        assert flatten(config)[name] == value
        others = (0.5,) if domains()[name].kind is float else (*domains()[name].choices, not value)
        other = next(choice for choice in others if choice != value)
        assert digest(from_flat({**BEFORE[before], name: other})) != before


def test_the_ledger_knows_the_leaves_that_earlier_ones_lack() -> None:
    assert {f"config.{name}": value for name, value in added_leaves(Config()).items()} == ADDED_LEAVES


def test_what_only_a_gpu_can_do_is_refused_on_a_cpu() -> None:
    asked = from_flat({"train.tf32": True, "train.cudnn_benchmark": True, "loss.pixel": 1.0})
    assert conflicts(asked) == device_conflicts(asked, "cuda") == []
    assert device_conflicts(asked, "cpu") == [
        "train.tf32=True needs a GPU, and this is trained on a CPU, which has no TF32",
        "train.cudnn_benchmark=True needs a GPU, and this is trained on a CPU, which has no cuDNN",
    ]
    assert device_conflicts(from_flat({"train.dtype": "bf16"}), "cpu") == []  # slow where it is not in hardware


def test_the_colors_of_a_curve_stay_in_fp32() -> None:
    (said,) = conflicts(from_flat({"net.family": "curve", "loss.pixel": 1.0, "train.crop_px": 64, "train.tf32": True}))
    assert "train.tf32=True cannot be used with net.family=curve" in said
