"""Designs: every point is inside the space, and counts follow from the levels."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.engine.designs import (
    Ablation,
    Design,
    DesignError,
    Factorial,
    Fraction,
    Grid,
    OneAtATime,
)
from sweeps.engine.space import Choice, Integer, Log, Range, Space, Uniform, When, contains, inner

SPACE: Space = {
    "loss.tv": Log(0.01, 100.0),
    "optimizer.name": Choice("adam", "sgd"),
    "optimizer.momentum": When("optimizer.name", "sgd", Uniform(0.0, 0.8)),
    "optimizer.nesterov": When("optimizer.name", "sgd", Choice(False, True)),
    "net.blocks": Integer(0, 4, step=2),
}
BASE = {
    "loss.tv": 1.0,
    "optimizer.name": "adam",
    "optimizer.momentum": 0.4,
    "optimizer.nesterov": True,
    "net.blocks": 2,
}

RANGES: st.SearchStrategy[Range] = st.one_of(
    st.integers(1, 4).map(lambda n: Choice(*range(n))),
    st.integers(1, 3).map(lambda n: Integer(2, 2 + n)),
    st.tuples(st.floats(0.01, 1.0), st.floats(2.0, 10.0)).map(lambda ends: Log(*ends)),
    st.tuples(st.floats(-5.0, 0.0), st.floats(1.0, 10.0)).map(lambda ends: Uniform(*ends)),
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to five leaves, some of which depend on a value of an earlier one."""
    space: Space = {}
    for index in range(draw(st.integers(1, 5))):
        own = draw(RANGES)
        parents = [name for name, entry in space.items() if isinstance(inner(entry), Choice)]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            value = draw(st.sampled_from(inner(space[parent]).corners()))
            space = {**space, f"leaf{index}": When(parent, value, own)}
        else:
            space = {**space, f"leaf{index}": own}
    return space


def has_range(space: Space) -> bool:
    return any(isinstance(inner(entry), Uniform) for entry in space.values())


@pytest.mark.slow
@settings(max_examples=150)
@given(spaces(), st.integers(2, 3), st.floats(0.05, 1.0), st.integers(0, 3))
def test_all_points_lie_in_the_space_and_are_counted_before(space: Space, levels: int, share: float, seed: int) -> None:
    levels = levels if has_range(space) else 0
    grid = Grid(levels=levels)
    designs: list[Design] = [grid, Fraction(share, seed, levels=levels), Factorial()]
    for design in designs:
        points = [values for _, values in design.points(space)]
        assert [contains(space, point) for point in points] == [None] * len(points)
        assert len({tuple(point.items()) for point in points}) == len(points) == design.size(space)
        assert design.points(space) == design.points(space)
    everything = [values for _, values in grid.points(space)]
    some = [values for _, values in designs[1].points(space)]
    assert all(point in everything for point in some)
    assert len(some) == max(1, round(share * len(everything)))


@settings(max_examples=50)
@given(st.lists(RANGES, min_size=1, max_size=4))
def test_without_conditions_a_grid_has_the_product_of_its_levels(ranges: list[Range]) -> None:
    space = {f"leaf{index}": own for index, own in enumerate(ranges)}
    levels = 3 if has_range(space) else 0
    sizes = [3 if isinstance(own, Uniform) else len(own.corners()) for own in ranges]
    assert len(Grid(levels=levels).points(space)) == math.prod(sizes)


def test_a_grid_has_its_ends_equal_steps_and_respects_conditions() -> None:
    points = [values for _, values in Grid(levels=3).points(SPACE)]
    assert len(points) == 3 * (1 + 3 * 2) * 3
    assert sorted({point["loss.tv"] for point in points}) == [0.01, pytest.approx(1.0), 100.0]
    assert sorted({float(p["optimizer.momentum"]) for p in points if "optimizer.momentum" in p}) == [0.0, 0.4, 0.8]
    assert all(("optimizer.momentum" in point) == (point["optimizer.name"] == "sgd") for point in points)


def test_a_fraction_is_drawn_by_its_seed() -> None:
    def drawn(seed: int) -> list[object]:
        return [values for _, values in Fraction(0.3, seed, levels=3).points(SPACE)]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert drawn(0) != [point for _, point in Grid(levels=3).points(SPACE) if point in drawn(0)]  # not in grid order


def test_an_ablation_leaves_one_out_at_a_time() -> None:
    space: Space = {
        "loss.color": Uniform(0.0, 2.0),
        "loss.tv": Log(0.1, 10.0),
        "net.norm": Choice("instance", "batch", "none"),
        "train.ema": Choice(False, True),
        "net.kernel": Choice(3, 5, 7),
        "optimizer.name": Choice("adam", "sgd"),
        "optimizer.momentum": When("optimizer.name", "sgd", Choice(0.5, 0.9)),
    }
    base = {
        "loss.color": 1.0,
        "loss.tv": 1.0,
        "net.norm": "batch",
        "train.ema": True,
        "net.kernel": 5,
        "optimizer.name": "adam",
        "optimizer.momentum": 0.9,
    }
    points = Ablation(base, off={"loss.tv": 0.1}).points(space)
    first = {name: value for name, value in base.items() if name != "optimizer.momentum"}
    assert points == [
        ("base", first),
        ("loss.color=0.0", {**first, "loss.color": 0.0}),
        ("loss.tv=0.1", {**first, "loss.tv": 0.1}),
        ("net.norm=none", {**first, "net.norm": "none"}),
        ("train.ema=False", {**first, "train.ema": False}),
        ("net.kernel=3", {**first, "net.kernel": 3}),
        ("net.kernel=7", {**first, "net.kernel": 7}),
        ("optimizer.name=sgd", {**base, "optimizer.name": "sgd"}),
    ]
    assert "has no value that switches it off" in Ablation(base).problems(space)[0]
    assert Ablation(BASE, off={"loss.tv": 0.01}).problems(SPACE) == []  # momentum is out of play in base and after it
    already = Ablation({**base, "loss.color": 0.0}, off={"loss.tv": 0.1})
    assert "loss.color" in already.problems(space)[0]


def test_one_at_a_time_tries_every_other_value() -> None:
    points = OneAtATime(BASE, levels=3).points(SPACE)
    assert [label for label, _ in points][:3] == ["base", "loss.tv=0.01", "loss.tv=100.0"]
    assert len(points) == 1 + 2 + 1 + 2  # the geometric middle of loss.tv is the base itself
    assert all(contains(SPACE, values) is None for _, values in points)
    sgd = OneAtATime({**BASE, "optimizer.name": "sgd"}, levels=3).points(SPACE)
    assert len(sgd) == 1 + 2 + 1 + 2 + 1 + 2


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (Grid(), "no finite number of values; give levels=2 or more"),
        (Grid(levels=1), "levels=1 must be 2 or more"),
        (Grid(levels=1000), "are more than 100,000"),
        (Fraction(0.0, levels=2), "share=0.0 of the grid must be above 0"),
        (OneAtATime(BASE), "no finite number of values"),
        (OneAtATime({**BASE, "net.blocks": 3}, levels=2), "net.blocks=3 lies outside"),
        (OneAtATime({"loss.tv": 1.0}, levels=2), "base: net.blocks has no value"),
        (Ablation({**BASE, "net.depth": 1}), "net.depth is not in the space"),
        (Ablation(BASE, off={"loss.tv": 0.0}), "loss.tv=0.0 lies outside"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_rule(design: Design, said: str) -> None:
    with pytest.raises(DesignError) as caught:
        design.points(SPACE)
    assert any(said in problem for problem in caught.value.problems)


def test_levels_without_a_range_are_refused() -> None:
    finite: Space = {"a": Choice(1, 2, 3), "b": Choice(1, 2)}
    assert "levels=3 has no meaning here" in Grid(levels=3).problems(finite)[0]
