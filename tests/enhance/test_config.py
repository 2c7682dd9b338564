"""Configurations: names, laws, one text, one digest."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhance.config import Config, ConfigError, LossConfig, canonical_json, digest, flatten, from_flat, laws


def test_flat_and_nested_names_are_two_views_of_one_configuration() -> None:
    config = from_flat({"net.channels": 16, "loss.color": 2, "optimizer.lr": 1e-3})
    assert (config.net.channels, config.loss.color, config.optimizer.lr) == (16, 2.0, 1e-3)
    assert from_flat(flatten(config)) == config
    assert set(flatten(config)) == set(laws())


def test_the_base_is_kept_where_nothing_is_said() -> None:
    base = from_flat({"net.channels": 16})
    assert from_flat({"loss.tv": 1.0}, base).net.channels == 16


def test_every_problem_is_said_at_once_with_value_rule_and_choices() -> None:
    wrong = {
        "net.chanels": 3,
        "net.kernel": 4,
        "net.norm": "layer",
        "loss.color": -1.0,
        "train.steps": 1.5,
        "train.flips": 1,
        "optimizer.lr": float("nan"),
    }
    with pytest.raises(ConfigError) as refused:
        from_flat(wrong)  # type: ignore[arg-type]
    assert len(refused.value.problems) == len(wrong)
    said = str(refused.value)
    for part in (
        "did you mean net.channels",
        "net.kernel=4 breaks the law: net.kernel must be a whole number >= 1 and <= 15 and odd",
        "choose from instance, batch, none",
        "loss.color must be a number >= 0",
        "train.steps=1.5 must be a whole number, not float",
        "train.flips=1 must be true or false, not int",
        "optimizer.lr=nan must be finite",
    ):
        assert part in said


def test_an_unknown_family_is_refused_with_the_families() -> None:
    with pytest.raises(ConfigError, match=r"net.family='resnot'.*choose from resnet"):
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
    known = laws()
    assert [p for name, value in flatten(Config()).items() if (p := known[name].problem(name, value))] == []


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().loss.color = 1.0  # type: ignore[misc]
    assert dataclasses.replace(LossConfig(), color=1.0).color == 1.0
