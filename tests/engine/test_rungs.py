"""Successive halving in its asynchronous, stopping form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.engine.rungs import Halving


def arrive(rungs: Halving, step: int, values: list[float]) -> list[bool]:
    going = []
    for index, value in enumerate(values):
        rungs.record(f"t{index}", step, value)
        going.append(rungs.judge(f"t{index}", step)[0])
    return going


def test_the_best_third_so_far_goes_on() -> None:
    assert arrive(Halving((10, 30, 90), 3), 10, [5, 4, 3, 6, 2, 5.5]) == [True, False, False, True, False, True]


def test_the_reason_says_place_and_peers() -> None:
    rungs = Halving((10, 30), 3)
    arrive(rungs, 10, [5.0, 4.0])
    assert rungs.judge("t1", 10) == (False, "rung 0 (step 10): place 2 of 2, 1 go on")


def test_nobody_is_stopped_at_the_last_rung() -> None:
    assert all(arrive(Halving((10, 30), 3), 30, [5, 4, 3, 2, 1]))


def test_hearing_a_report_again_changes_nothing() -> None:
    once, twice = Halving((10, 30), 2), Halving((10, 30), 2)
    arrive(once, 10, [1, 2, 3])
    arrive(twice, 10, [1, 2, 3])
    arrive(twice, 10, [1, 2, 3])
    assert once._values == twice._values


def test_values_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="only finite"):
        Halving((10,), 2).record("t", 10, float("nan"))
    with pytest.raises(ValueError, match="step 11 is not a rung; the rungs are at 10"):
        Halving((10,), 2).record("t", 11, 1.0)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.integers(2, 5))
def test_a_newcomer_goes_on_exactly_if_it_is_in_the_best_share(values: list[float], reduction: int) -> None:
    going = arrive(Halving((1, 100), reduction), 1, values)
    for index, went in enumerate(going):
        seen = np.array(values[: index + 1])
        better = int((seen > values[index]).sum())
        assert went == (better < max(1, len(seen) // reduction))
