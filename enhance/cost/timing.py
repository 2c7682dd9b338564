"""Two networks timed in turns, and what the times say. Which clock and which networks is the caller's affair.

Whatever slows the machine for a while slows both, so it leaves their ratio within a round; and the order alternates, so
that neither always runs on what the other left behind.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from enhance.conditions import Conditions

Stopwatch = Callable[[int], float]
"""Runs a network so many times in a row; the seconds that this took in all."""

LEAST_S = 0.05
"""A network is repeated until one timing takes so long: the clock and a passing interrupt must not matter."""
WARMUP_S = 0.5
"""Rounds are not counted until they have taken so long, and one never is: the first pass loads and chooses kernels."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of one forward pass in every round that counts, and the number of rounds that do not."""

    candidate_s: list[float]
    baseline_s: list[float]
    warmup_rounds: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and the limits of its interval."""

    ratio: float
    low: float
    high: float


def take_turns(
    candidate: Stopwatch,
    baseline: Stopwatch,
    conditions: Conditions,
    clock: Callable[[], float],
    on_beat: Callable[[], None],
    on_start: Callable[[], None],
) -> Times:
    """Warm up, call `on_start`, then time round after round until the conditions are met.

    `on_beat` is called after every timing; `clock` gives seconds, from which the time that has gone by is reckoned.
    """
    started = clock()
    pair = _Pair(_repeated(candidate, on_beat), _repeated(baseline, on_beat), on_beat)
    warmup_rounds = 1  # in which the repeats were found
    while clock() - started < WARMUP_S:
        pair.round(warmup_rounds)
        warmup_rounds += 1
    on_start()
    candidate_s: list[float] = []
    baseline_s: list[float] = []
    while not enough(candidate_s, baseline_s, clock() - started, conditions):
        one, other = pair.round(len(candidate_s))
        candidate_s.append(one)
        baseline_s.append(other)
    return Times(candidate_s=candidate_s, baseline_s=baseline_s, warmup_rounds=warmup_rounds)


def enough(candidate_s: list[float], baseline_s: list[float], gone_s: float, conditions: Conditions) -> bool:
    """Whether the rounds so far will do, `gone_s` seconds after the start.

    Who stops as soon as an interval is narrow sees it slightly too narrow (it stops at lucky moments): of 95 %
    intervals some fewer hold the true ratio.
    """
    if len(candidate_s) < conditions.min_rounds:
        return False
    if gone_s >= conditions.max_s:
        return True
    found = ratio_interval(candidate_s, baseline_s)
    return found.high <= found.ratio * (1 + conditions.precision)


def ratio_interval(candidate_s: list[float], baseline_s: list[float]) -> Interval:
    """The geometric mean of candidate to baseline, round by round, and its 95 % interval.

    Student's t interval of the mean of the logarithms (at least two rounds). Ratios of times are skew, their
    logarithms less so, and the result is the inverse of what the two in exchanged roles would give.
    """
    logs = np.log(np.asarray(candidate_s) / np.asarray(baseline_s))
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1)) * error
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


class _Pair:
    """Two stopwatches with how often each repeats."""

    def __init__(
        self, candidate: tuple[Stopwatch, int], baseline: tuple[Stopwatch, int], on_beat: Callable[[], None]
    ) -> None:
        self._members, self._on_beat = (candidate, baseline), on_beat

    def round(self, index: int) -> tuple[float, float]:
        """Seconds of one pass of the candidate and of the baseline, who begins in rounds of odd `index`."""
        seconds = [0.0, 0.0]
        for member in (0, 1) if index % 2 == 0 else (1, 0):
            stopwatch, repeats = self._members[member]
            seconds[member] = stopwatch(repeats) / repeats
            self._on_beat()
        return seconds[0], seconds[1]


def _repeated(stopwatch: Stopwatch, on_beat: Callable[[], None]) -> tuple[Stopwatch, int]:
    """The stopwatch and the number of repeats, doubled from 1, with which one timing takes LEAST_S."""
    repeats = 1
    while True:
        seconds = stopwatch(repeats)
        on_beat()
        if seconds >= LEAST_S:
            return stopwatch, repeats
        repeats *= 2
