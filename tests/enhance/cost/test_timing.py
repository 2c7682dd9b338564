"""Alternating timings, and the interval of their ratio."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from enhance import cost
from enhance.conditions import Conditions
from enhance.cost.timing import LEAST_S, WARMUP_S, enough, ratio_interval, take_turns

TIMES = st.lists(st.tuples(st.floats(1e-4, 1e2), st.floats(1e-4, 1e2)), min_size=3, max_size=20)


@pytest.mark.slow
@given(TIMES)
def test_the_interval_is_students(rounds: list[tuple[float, float]]) -> None:
    one, other = ([pair[i] for pair in rounds] for i in (0, 1))
    found = ratio_interval(one, other)
    logs = [math.log(a / b) for a, b in rounds]
    assert found.ratio == pytest.approx(stats.gmean(np.divide(one, other)))
    if np.ptp(logs) > 1e-6:
        wanted = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
        assert np.log([found.low, found.high]) == pytest.approx([wanted.low, wanted.high], rel=1e-6, abs=1e-9)
    inverse = ratio_interval(other, one)
    assert (1 / inverse.ratio, 1 / inverse.high, 1 / inverse.low) == pytest.approx((found.ratio, found.low, found.high))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    """Fixed numbers of rounds, 5 each, of which all times are noisy and both are slowed together at random."""
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        slow = np.exp(draws.normal(0, 0.5, 5))
        one, other = (mean * slow * np.exp(draws.normal(0, 0.1, 5)) for mean in (3.0, 10.0))
        found = ratio_interval(list(one), list(other))
        held += found.low <= 0.3 <= found.high
    assert 0.93 < held / 1000 < 0.97


def test_when_rounds_are_enough() -> None:
    conditions = Conditions(min_rounds=4, max_s=10.0, precision=0.05)
    steady, shaky = [1.0, 1.01, 1.0, 0.99], [1.0, 1.5, 1.0, 0.7]
    other = [2.0] * 4
    assert not enough(steady[:3], other[:3], 99.0, conditions)  # too few rounds, whatever the time
    assert enough(steady, other, 1.0, conditions)  # precise
    assert not enough(shaky, other, 9.9, conditions)
    assert enough(shaky, other, 10.0, conditions)  # out of time
    half = ratio_interval(shaky, other).high / ratio_interval(shaky, other).ratio - 1
    for precision, wanted in ((half * 1.001, True), (half * 0.999, False)):
        looser = dataclasses.replace(conditions, precision=min(precision, 1.0))
        assert enough(shaky, other, 1.0, looser) is (wanted and precision <= 1)


class Bench:
    """Stopwatches that take their seconds from a list of speeds and move a clock; they keep who ran when."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, list[tuple[str, int]]()
        self.beats = self.runs_before_start = 0

    def clock(self) -> float:
        return self.now

    def stopwatch(self, name: str, seconds: Iterator[float]) -> Callable[[int], float]:
        def run(repeats: int) -> float:
            self.runs.append((name, repeats))
            taken = repeats * next(seconds)
            self.now += taken
            return taken

        return run

    def beat(self) -> None:
        self.beats += 1

    def start(self) -> None:
        self.runs_before_start = len(self.runs)

    def turns(self, candidate: Iterator[float], baseline: Iterator[float], conditions: Conditions) -> cost.Times:
        stopwatches = (self.stopwatch("candidate", candidate), self.stopwatch("baseline", baseline))
        return take_turns(*stopwatches, conditions, self.clock, self.beat, self.start)


def test_turns_alternate_and_every_timing_is_a_beat() -> None:
    bench = Bench()
    times = bench.turns(itertools.repeat(2.0), itertools.repeat(10.0), Conditions(min_rounds=4))
    counted = [name for name, _ in bench.runs[bench.runs_before_start :]]
    assert counted == ["candidate", "baseline", "baseline", "candidate"] * 2
    assert bench.beats == len(bench.runs)
    assert times.warmup_rounds == 1  # one pass of seconds is warm enough
    assert bench.runs_before_start == 2
    assert times.candidate_s == [2.0] * 4
    assert times.baseline_s == [10.0] * 4


def test_short_passes_are_repeated_until_the_clock_can_tell() -> None:
    bench = Bench()
    times = bench.turns(itertools.repeat(LEAST_S / 100), itertools.repeat(LEAST_S / 3), Conditions(min_rounds=3))
    assert times.candidate_s == pytest.approx([LEAST_S / 100] * 3)  # of one pass, however many there were
    assert times.baseline_s == pytest.approx([LEAST_S / 3] * 3)
    repeats = dict(bench.runs[bench.runs_before_start :])
    assert repeats == {"candidate": 128, "baseline": 4}
    pass_s = {"candidate": LEAST_S / 100, "baseline": LEAST_S / 3}
    warm_s = sum(count * pass_s[name] for name, count in bench.runs[: bench.runs_before_start])
    assert warm_s >= WARMUP_S
    assert times.warmup_rounds > 1


def test_a_slow_first_pass_is_not_counted() -> None:
    bench = Bench()
    slow_start = itertools.chain([60.0], itertools.repeat(1.0))
    times = bench.turns(slow_start, itertools.repeat(1.0), Conditions(max_s=600.0))
    assert set(times.candidate_s) == {1.0}
    assert len(times.candidate_s) == 5


def test_out_of_time_ends_with_the_fewest_rounds() -> None:
    shaky = itertools.cycle([1.0, 2.0, 4.0])
    bench = Bench()
    times = bench.turns(shaky, itertools.repeat(10.0), Conditions(min_rounds=3, max_s=1.0))
    assert len(times.candidate_s) == 3
    bench = Bench()
    times = bench.turns(itertools.cycle([1.0, 2.0, 4.0]), itertools.repeat(10.0), Conditions(max_s=200.0))
    assert bench.now >= 200 > bench.now - 14  # not a round more
    assert len(times.candidate_s) > 5
