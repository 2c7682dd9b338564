"""The stopping rules: against references by hand and brute force, and properties that all verdicts have."""

import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweeps.engine.rungs import MINIMUM_PEERS, RULES, Rungs, Verdict, build_rungs, spread_order

Point = tuple[float, ...]

STEPS = (10, 30, 90)


@st.composite
def clouds(draw: st.DrawFn, least: int = 1, most: int = 24) -> list[Point]:
    """Points on a small grid, so that ties, copies and long fronts are frequent, in 1 to 4 objectives."""
    objectives = draw(st.integers(1, 4))
    point = st.tuples(*[st.integers(-4, 4).map(float)] * objectives)
    return draw(st.lists(point, min_size=least, max_size=most))


rules = st.sampled_from(sorted(RULES))
reductions = st.integers(2, 5)


def names(points: Sequence[Point]) -> list[str]:
    return [f"t{index}" for index in range(len(points))]


def filled(rule: str, points: Sequence[Point], reduction: int = 3, step: int = 10) -> Rungs:
    rungs = build_rungs(rule, STEPS, reduction)
    for name, point in zip(names(points), points, strict=True):
        rungs.record(name, step, point)
    return rungs


def decided(rule: str, points: Sequence[Point], reduction: int = 3) -> list[Verdict]:
    return list(filled(rule, points, reduction).cohort(names(points), 10).values())


def arrive(rungs: Rungs, step: int, points: Sequence[Point]) -> list[Verdict]:
    """The verdicts on points that come in one after the other."""
    verdicts = []
    for name, point in zip(names(points), points, strict=True):
        rungs.record(name, step, point)
        verdicts.append(rungs.judge(name, step))
    return verdicts


def dominates(one: Point, other: Point) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def brute_force_ranks(points: Sequence[Point]) -> list[int]:
    """The definition: rank 0 are those that none dominates, rank 1 those that none dominates once rank 0 is gone."""
    ranks: dict[int, int] = {}
    while len(ranks) < len(points):
        left = [i for i in range(len(points)) if i not in ranks]
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        ranks |= dict.fromkeys(front, max(ranks.values(), default=-1) + 1)
    return [ranks[i] for i in range(len(points))]


# --- what every rule keeps ----------------------------------------------------------------------------------------


@pytest.mark.slow
@given(rules, clouds(), reductions, st.randoms())
def test_a_cohort_does_not_depend_on_any_order(rule: str, points: list[Point], reduction: int, random: object) -> None:
    expected = filled(rule, points, reduction).cohort(names(points), 10)
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    rungs = build_rungs(rule, STEPS, reduction)
    for index in order:
        rungs.record(f"t{index}", 10, points[index])
    rungs.record("a stranger", 10, points[0])
    random.shuffle(order)  # type: ignore[attr-defined]
    assert rungs.cohort([f"t{index}" for index in order], 10) == expected


@pytest.mark.slow
@given(rules, clouds(), reductions)
def test_judging_the_complete_set_is_the_cohort(rule: str, points: list[Point], reduction: int) -> None:
    rungs = filled(rule, points, reduction)
    assert {name: rungs.judge(name, 10) for name in names(points)} == rungs.cohort(names(points), 10)


@pytest.mark.slow
@given(rules, clouds(), reductions)
def test_a_point_that_dominates_a_survivor_survives(rule: str, points: list[Point], reduction: int) -> None:
    seen = points if rule == "pareto" else [point[:1] for point in points]
    judged = list(zip(seen, decided(rule, points, reduction), strict=True))
    for better, one in judged:
        for worse, other in judged:
            if dominates(better, worse):
                assert one.goes_on or not other.goes_on
                assert one.place <= other.place


@pytest.mark.slow
@given(st.sampled_from(["first", "median", "none"]), clouds(), reductions, st.integers(0, 23))
def test_a_survivor_that_gets_better_survives(rule: str, points: list[Point], reduction: int, position: int) -> None:
    """Not so of pareto: inside a front, what is better may be less apart."""
    assume(position < len(points) and decided(rule, points, reduction)[position].goes_on)
    better = [tuple(v + 1 for v in point) if i == position else point for i, point in enumerate(points)]
    assert decided(rule, better, reduction)[position].goes_on


@pytest.mark.slow
@given(rules, clouds(), st.lists(st.tuples(st.floats(0.1, 1000), st.floats(-100, 100)), min_size=4, max_size=4))
def test_units_and_origins_do_not_matter(rule: str, points: list[Point], units: list[tuple[float, float]]) -> None:
    moved = [tuple(v * scale + shift for v, (scale, shift) in zip(point, units, strict=False)) for point in points]
    assert decided(rule, moved) == decided(rule, points)


@pytest.mark.slow
@given(rules, clouds(), clouds(), reductions)
def test_a_resumed_run_judges_as_the_one_before(
    rule: str, before: list[Point], after: list[Point], reduction: int
) -> None:
    assume(len(before[0]) == len(after[0]))
    first, resumed = filled(rule, before, reduction), build_rungs(rule, STEPS, reduction)
    arrive(first, 30, before)
    for step in (30, 10):
        for name, point in reversed(list(zip(names(before), before, strict=True))):
            resumed.record(name, step, point)
    for index, point in enumerate(after):
        for rungs in (first, resumed):
            rungs.record(f"late{index}", 10, point)
            rungs.record(f"late{index}", 30, point)
        assert first.judge(f"late{index}", 30) == resumed.judge(f"late{index}", 30)


@pytest.mark.parametrize("rule", RULES)
def test_hearing_a_report_again_changes_nothing(rule: str) -> None:
    points = [(float(value), float(-value)) for value in range(9)]
    rungs = filled(rule, points)
    once = rungs.cohort(names(points), 10)
    for name, point in zip(names(points), points, strict=True):
        rungs.record(name, 10, point)
    assert rungs.cohort(names(points), 10) == once
    assert rungs.judge("t0", 10).of == 9


@pytest.mark.parametrize("rule", RULES)
def test_nobody_is_stopped_at_the_last_rung(rule: str) -> None:
    points = [(-float(value), -float(value)) for value in range(12)]
    rungs = build_rungs(rule, STEPS, 3)
    verdicts = arrive(rungs, 90, points)
    assert [(v.goes_on, v.place, v.of, v.why) for v in verdicts] == [(True, n, n, "") for n in range(1, 13)]
    assert all(v.goes_on for v in rungs.cohort(names(points), 90).values())


def test_many_trials_are_remembered() -> None:
    """More than the tables first have room for, at two rungs."""
    rungs = build_rungs("first", STEPS, 3)
    for step, sign in ((10, 1), (30, -1)):
        for index in range(200):
            rungs.record(f"t{index}", step, (float(sign * index),))
    assert [rungs.judge(f"t{index}", 10).place for index in range(200)] == list(range(200, 0, -1))
    assert [rungs.judge(f"t{index}", 30).place for index in range(200)] == list(range(1, 201))


def test_what_cannot_be_compared_is_refused() -> None:
    rungs = filled("pareto", [(1.0, 2.0)])
    for bad in ((1.0, float("nan")), (float("inf"), 1.0), ()):
        with pytest.raises(ValueError, match="only finite"):
            rungs.record("bad", 10, bad)
    with pytest.raises(ValueError, match="3 objectives at step 10; those before it have 2"):
        rungs.record("bad", 10, (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="step 11 is not a rung; the rungs are at 10, 30, 90"):
        rungs.record("t0", 11, (1.0, 2.0))
    for trial, step in (("bad", 10), ("t0", 30)):
        with pytest.raises(ValueError, match=f"nothing was recorded at step {step} for trial {trial}"):
            rungs.judge(trial, step)
    with pytest.raises(ValueError, match="must differ: t0, t0"):
        rungs.cohort(["t0", "t0"], 10)
    assert rungs.judge("t0", 10).of == 1


def test_an_unknown_rule_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="unknown stopping rule 'best'; choose from pareto, first, median, none"):
        build_rungs("best", STEPS, 3)


# --- halving ------------------------------------------------------------------------------------------------------


def test_the_best_third_so_far_goes_on() -> None:
    """By hand: one goes on of the first five, two of the sixth."""
    verdicts = arrive(build_rungs("first", STEPS, 3), 10, [(5,), (4,), (3,), (6,), (2,), (5.5,)])
    assert [v.goes_on for v in verdicts] == [True, False, False, True, False, True]
    assert [v.place for v in verdicts] == [1, 2, 3, 1, 5, 2]
    assert [v.of for v in verdicts] == [1, 2, 3, 4, 5, 6]
    assert verdicts[1].why == "rung 0 (step 10): place 2 of 2, 1 go on"
    assert verdicts[5].why == ""


@pytest.mark.slow
@given(clouds(), reductions)
def test_a_newcomer_goes_on_exactly_if_it_is_in_the_best_share(points: list[Point], reduction: int) -> None:
    points = list(dict.fromkeys((point[0],) for point in points))
    for index, verdict in enumerate(arrive(build_rungs("first", STEPS, reduction), 10, points)):
        better = sum(point > points[index] for point in points[: index + 1])
        assert verdict.place == better + 1
        assert verdict.goes_on == (better < max(1, (index + 1) // reduction))


@pytest.mark.slow
@given(st.sampled_from(["pareto", "first"]), clouds(), reductions)
def test_exactly_the_share_of_a_cohort_goes_on(rule: str, points: list[Point], reduction: int) -> None:
    verdicts = decided(rule, points, reduction)
    assert sum(v.goes_on for v in verdicts) == max(1, len(points) // reduction)
    assert sorted(v.place for v in verdicts) == list(range(1, len(points) + 1))
    assert all(v.goes_on == (v.place <= max(1, len(points) // reduction)) for v in verdicts)


@pytest.mark.slow
@given(clouds(), reductions)
def test_of_one_objective_pareto_is_first(points: list[Point], reduction: int) -> None:
    points = [point[:1] for point in points]
    one, other = build_rungs("pareto", STEPS, reduction), build_rungs("first", STEPS, reduction)
    assert arrive(one, 10, points) == arrive(other, 10, points)


@pytest.mark.slow
@given(clouds(), reductions)
def test_first_sees_the_first_objective_only(points: list[Point], reduction: int) -> None:
    assert decided("first", points, reduction) == decided("first", [point[:1] for point in points], reduction)


@pytest.mark.slow
@given(clouds())
def test_no_place_is_before_a_better_rank(points: list[Point]) -> None:
    ranks = brute_force_ranks(points)
    places = [verdict.place for verdict in decided("pareto", points)]
    by_place = [rank for _, rank in sorted(zip(places, ranks, strict=True))]
    assert by_place == sorted(ranks)


def test_none_stops_nobody_and_still_counts_places() -> None:
    verdicts = arrive(build_rungs("none", STEPS, 3), 10, [(3.0, 1.0), (2.0, 2.0), (4.0, 0.0), (1.0, 9.0)])
    assert verdicts == [
        Verdict(True, 1, 1, ""),
        Verdict(True, 2, 2, ""),
        Verdict(True, 1, 3, ""),
        Verdict(True, 4, 4, ""),
    ]


# --- inside a front -----------------------------------------------------------------------------------------------


def order(front: Sequence[Point], digests: Sequence[int] | None = None) -> list[int]:
    return spread_order(np.array(front, float), np.array(digests or range(len(front)), np.uint64)).tolist()


def test_extremes_come_first_then_contributions_by_hand() -> None:
    """Rectangles up to the next on either side: 0.2 x 8, 3.8 x 1, 5 x 0.9; the extremes contribute little."""
    front = [(0.0, 10.0), (0.2, 9.9), (4.0, 1.9), (9.0, 0.9), (10.0, 0.0)]
    areas = {1: 0.2 * 8.0, 2: 3.8 * 1.0, 3: 5.0 * 0.9}
    assert order(front) == [4, 0, *sorted(areas, key=lambda index: -areas[index])]


@pytest.mark.slow
@given(st.lists(st.integers(0, 60), min_size=3, max_size=14, unique=True), st.data())
def test_contributions_in_the_plane_are_rectangles(first: list[int], data: st.DataObject) -> None:
    count = len(first)
    second = data.draw(st.lists(st.integers(0, 60), min_size=count, max_size=count, unique=True))
    front = list(zip(sorted(first), sorted(second, reverse=True), strict=True))
    inner = range(1, count - 1)
    area = {i: (front[i][0] - front[i - 1][0]) * (front[i][1] - front[i + 1][1]) for i in inner}
    assert order(front) == [count - 1, 0, *sorted(inner, key=lambda i: (-area[i], i))]


@pytest.mark.parametrize("objectives", [3, 4])
def test_of_several_objectives_extremes_come_first_and_a_crowd_last(objectives: int) -> None:
    extremes = 10 * np.eye(objectives) + 0.0
    lonely = np.full((1, objectives), 4.0)
    crowd = np.array([[7.0, 2.0, 1.0, 1.0], [7.01, 1.99, 1.0, 1.0], [6.99, 2.01, 1.0, 1.0]])[:, :objectives]
    front = np.concatenate([crowd, lonely, extremes])
    assert brute_force_ranks([tuple(point) for point in front]) == [0] * len(front)
    found = order([tuple(point) for point in front])
    assert found[:objectives] == [4 + k for k in range(objectives)]
    assert found[objectives] == 3


def test_one_of_several_that_are_best_in_an_objective_is_the_extreme() -> None:
    """Three networks of equal size: only one is kept for its size, the one that adds most; the others must earn it."""
    front = [(0.0, 5.0, 5.0), (1.0, 4.9, 5.0), (0.1, 4.95, 5.0), (9.0, 4.0, 0.0), (5.0, 4.5, 3.0)]
    assert brute_force_ranks(front) == [0] * 5
    found = order(front)
    assert found[:3] == [3, 0, 1]
    assert found[-1] == 2


def test_an_extreme_of_two_objectives_counts_for_the_earlier() -> None:
    assert order([(1.0, 9.0, 1.0), (2.0, 2.0, 0.0), (9.0, 0.0, 9.0)]) == [2, 0, 1]


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=12, unique=True),
    st.tuples(*[st.floats(0.1, 1000)] * 3),
    st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_units_and_origins_do_not_matter_inside_a_front(
    pairs: list[tuple[int, int]], scale: Point, shift: Point
) -> None:
    """A front in a plane, where many points see the reference: it must move with the values."""
    front = np.array([(a, b, 40 - a - b) for a, b in pairs], float)
    assert order(front.tolist()) == order((front * scale + shift).tolist())


def test_copies_share_one_place_and_do_not_lose_it() -> None:
    """The middle of three is there twice: once it counts in full, before the crowd at the end; the other comes last."""
    front = [(0.0, 10.0), (5.0, 5.0), (5.0, 5.0), (9.8, 0.3), (9.9, 0.2), (10.0, 0.0)]
    assert order(front) == [5, 0, 1, 3, 4, 2]
    assert order(front, [0, 9, 2, 3, 4, 5]) == [5, 0, 2, 3, 4, 1]


@pytest.mark.slow
@given(clouds(), st.data())
def test_a_copy_comes_behind_all_different_points_and_changes_nothing_for_them(
    points: list[Point], data: st.DataObject
) -> None:
    ranks = brute_force_ranks(points)
    front = list(dict.fromkeys(point for point, rank in zip(points, ranks, strict=True) if rank == 0))
    copied = data.draw(st.sampled_from(front))
    assert order([*front, copied]) == [*order(front), len(front)]


def test_huge_and_equal_values_are_ordered() -> None:
    big = 1.7e308
    assert order([(-big, big), (0.0, 0.0), (big, -big)]) == [2, 0, 1]
    assert order([(1.0, 1.0)] * 3, [5, 1, 3]) == [1, 2, 0]
    assert {v.place for v in decided("pareto", [(0.0, 1.0), (-0.0, 1.0), (0.0, 0.0)])[:2]} == {1, 2}


# --- the median rule ----------------------------------------------------------------------------------------------


def test_the_best_so_far_is_held_against_the_means_of_the_others() -> None:
    """A trial that falls is judged by its best; its peers by their means up to this step, not beyond."""
    rungs = build_rungs("median", STEPS, 3)
    for index, (early, late) in enumerate([(0, 10), (2, 10), (4, 10), (6, 10), (8, 10)]):  # means 5, 6, 7, 8, 9
        for step, value in ((10, early), (30, late), (90, 1000)):
            rungs.record(f"t{index}", step, (float(value),))
    for name, early in (("falls", 7.0), ("below", 6.9)):
        rungs.record(name, 10, (early,))
    rungs.record("falls", 30, (0.0,))
    assert rungs.judge("falls", 30) == Verdict(True, 3, 6, "")
    rungs.record("below", 30, (0.0,))
    verdict = rungs.judge("below", 30)
    # the other six have means 5, 6, 7, 8, 9 and 3.5: their median is 6.5
    assert verdict == Verdict(True, 4, 7, "")
    rungs.record("below", 10, (6.4,))
    assert rungs.judge("below", 30) == Verdict(
        False, 4, 7, "rung 1 (step 30): place 4 of 7, below the median of the others' means"
    )


def test_with_too_few_peers_the_median_stops_nobody() -> None:
    falling = [(-float(value),) for value in range(MINIMUM_PEERS + 3)]
    verdicts = arrive(build_rungs("median", STEPS, 3), 10, falling)
    assert [v.goes_on for v in verdicts] == [len(falling[:index]) < MINIMUM_PEERS for index in range(len(falling))]


@pytest.mark.slow
@given(clouds(least=MINIMUM_PEERS + 1), st.data())
def test_the_median_rule_is_its_definition(points: list[Point], data: st.DataObject) -> None:
    count = len(points)
    late = data.draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    rungs = filled("median", points)
    for name, point, value in zip(names(points), points, late, strict=True):
        rungs.record(name, 30, (float(value), *point[1:]))
    verdicts = rungs.cohort(names(points), 30)
    past = [(point[0], float(value)) for point, value in zip(points, late, strict=True)]
    for index, verdict in enumerate(verdicts.values()):
        means = [statistics.mean(values) for position, values in enumerate(past) if position != index]
        assert verdict.goes_on == (max(past[index]) >= statistics.median(means))
        assert verdict.place == 1 + sum(mean > max(past[index]) for mean in means)
    assert verdicts[max(verdicts, key=lambda name: max(past[int(name[1:])]))].goes_on
