"""Search spaces: valid corners, conditions, membership."""

import optuna
import pytest

from sweeps.engine.designs import Grid
from sweeps.engine.space import (
    Choice,
    Integer,
    Log,
    Space,
    Uniform,
    When,
    chosen,
    contains,
    corner_points,
    pinned,
    space_problems,
    suggest,
    without,
)

SPACE: Space = {
    "loss.color": Log(0.1, 10.0),
    "train.batch_size": Integer(2, 8, step=2),
    "net.norm": Choice("instance", "none"),
    "net.kernel": When("net.norm", "none", Choice(3, 5)),
    "optimizer.beta1": Uniform(0.5, 0.9),
}


def test_a_valid_space_has_no_problem() -> None:
    assert space_problems(SPACE, {}) == []


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"loss.colour": Log(0.1, 1)}, "did you mean loss.color"),
        ({"loss.color": Log(0, 1)}, "low=0 must be > 0"),
        ({"loss.color": Uniform(2, 1)}, "low=2 must be below high=1"),
        ({"loss.color": Uniform(-1, 1)}, "it must be a number of at least 0"),
        ({"loss.color": Uniform(0, float("inf"))}, "must be finite"),
        ({"net.kernel": Integer(15, 17)}, "net.kernel=16 is not allowed: it must be a whole number from 1 to 15"),
        ({"net.blocks": Integer(1, 4, step=2)}, "divide high - low = 3"),
        ({"net.norm": Choice("instance", "nothing")}, "choose from instance, batch, none"),
        ({"net.norm": Choice()}, "at least one value"),
        ({"net.norm": Choice("none", "none")}, "must differ"),
        ({"net.kernel": When("net.norm", "none", Choice(3))}, "must come earlier"),
        (
            {"net.norm": Choice("none", "batch"), "net.kernel": When("net.norm", "instance", Choice(3))},
            "net.norm is never 'instance'; choose from none, batch",
        ),
    ],
)
def test_each_problem_is_named_with_its_value_and_choices(space: Space, said: str) -> None:
    assert any(said in problem for problem in space_problems(space, {})), space_problems(space, {})


def test_suggestions_lie_in_the_space_and_respect_conditions() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = [suggest(study.ask(), SPACE) for _ in range(50)]
    assert all(contains(SPACE, values) is None for values in seen)
    assert {("net.kernel" in values) == (values["net.norm"] == "none") for values in seen} == {True}
    assert {values["net.norm"] for values in seen} == {"instance", "none"}


def test_membership_says_what_is_wrong() -> None:
    point = {"loss.color": 1.0, "train.batch_size": 4, "net.norm": "instance", "optimizer.beta1": 0.5}
    assert contains(SPACE, point) is None
    assert "outside" in str(contains(SPACE, {**point, "loss.color": 100.0}))
    assert "outside" in str(contains(SPACE, {**point, "train.batch_size": 3}))
    assert "condition does not hold" in str(contains(SPACE, {**point, "net.kernel": 3}))
    assert "net.kernel has no value" in str(contains(SPACE, {**point, "net.norm": "none"}))
    assert "not in the space" in str(contains(SPACE, {**point, "loss.tv": 1.0}))


def test_chosen_leaves_out_what_no_condition_asked_for() -> None:
    whole = {"loss.color": 1.0, "train.batch_size": 4, "net.norm": "instance", "net.kernel": 3, "optimizer.beta1": 0.5}
    assert "net.kernel" not in chosen(SPACE, whole)
    assert chosen(SPACE, {**whole, "net.norm": "none"})["net.kernel"] == 3


FAMILIES: Space = {
    "net.family": Choice("resnet", "unet"),
    "net.channels": Choice(4, 8),
    "net.levels": When("net.family", "unet", Integer(2, 4)),
    "optimizer.momentum": Uniform(0.0, 0.9),
}


def test_a_leaf_must_be_valid_for_every_variant_under_which_it_is_searched() -> None:
    assert space_problems(FAMILIES, {"optimizer.name": "sgd"}) == []
    assert "optimizer.momentum does not exist here: it belongs to optimizer.name=rmsprop | sgd | muon" in str(
        space_problems(FAMILIES, {})
    )
    everywhere = {**FAMILIES, "net.levels": Integer(2, 4)}
    assert "net.levels does not exist here: it belongs to net.family=unet" in str(space_problems(everywhere, {}))


def test_conditions_may_stand_on_conditions() -> None:
    space: Space = {
        "net.family": Choice("resnet", "curve"),
        "net.base": When("net.family", "curve", Choice("resnet", "unet")),
        "net.levels": When("net.base", "unet", Choice(2, 3)),
    }
    assert space_problems(space, {}) == []
    reached = list(corner_points(space))
    assert {"net.family": "curve", "net.base": "unet", "net.levels": 3} in reached
    assert {"net.family": "resnet"} in reached


def test_every_corner_is_in_one_of_the_corner_points() -> None:
    for name, entry in FAMILIES.items():
        corners = (entry.range if isinstance(entry, When) else entry).corners()
        assert set(corners) == {point[name] for point in corner_points(FAMILIES) if name in point}
    assert all(contains(FAMILIES, point) is None for point in corner_points(FAMILIES))


def test_a_fixed_leaf_takes_its_conditions_with_it() -> None:
    assert "net.levels" not in without(FAMILIES, "net.family", "resnet")
    assert without(FAMILIES, "net.family", "unet")["net.levels"] == Integer(2, 4)
    assert set(FAMILIES) - set(without(FAMILIES, "net.channels", 4)) == {"net.channels"}


def test_a_condition_may_name_several_values() -> None:
    several: Space = {
        "net.family": Choice("resnet", "shuffle", "unet"),
        "net.blocks": When("net.family", ("resnet", "shuffle"), Choice(1, 2)),
        "net.factor": When("net.family", "shuffle", Choice(2)),
    }
    assert space_problems(several, {}) == []
    assert Grid().size(several) == len(list(Grid().points(several))) == 2 + 2 + 1
    found = {(point["net.family"], point.get("net.blocks")) for point in corner_points(several)}
    assert {("resnet", 2), ("shuffle", 2), ("unet", None)} <= found
    assert all(contains(several, point) is None for point in corner_points(several))
    assert contains(several, {"net.family": "unet", "net.blocks": 1}) is not None
    assert without(several, "net.family", "resnet") == {"net.blocks": Choice(1, 2)}
    only = pinned(several, "net.family", "shuffle")
    assert only["net.blocks"] == When("net.family", "shuffle", Choice(1, 2))
    assert space_problems(only, {}) == []
    # A leaf must be valid under each of the values, and each must be possible.
    wrong: Space = {**several, "net.blocks": When("net.family", ("resnet", "unet", "johnson"), Choice(1))}
    assert space_problems(wrong, {}) == [
        "net.blocks: net.family is never 'johnson'; choose from resnet, shuffle, unet",
    ]
    wrong["net.blocks"] = When("net.family", ("resnet", "unet"), Choice(1))
    assert ["net.blocks does not exist here" in problem for problem in space_problems(wrong, {})] == [True]


def test_a_long_range_of_whole_numbers_is_checked_at_its_ends_only() -> None:
    """Its neighbours too: a domain may ask for odd numbers, which no end alone would show."""
    space: Space = {"train.val_images": Integer(1, 10**12)}
    assert len(list(corner_points(space))) == len(set(Integer(1, 10**12).corners())) == 100
    assert {1, 2, 10**12 - 1, 10**12} <= set(Integer(1, 10**12).corners())
    assert Integer(1, 10**12).contains(5 * 10**11)
    assert Grid().problems(space) == [
        f"{10**12:,} combinations are more than 100,000; take fewer values or sampler=random"
    ]
    assert Grid().size({"train.val_images": Integer(1, 20_000)}) == 20_000
    assert Integer(3, 9, step=3).corners() == (3, 6, 9)
    assert Integer(0, 10**18).problems() != []
