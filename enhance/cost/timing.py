"""Timing two networks in alternation, and the statistics of the times. The caller supplies clock and networks.

Whatever slows the machine down for a while slows both networks down, so it cancels out of their ratio within a round.
The order alternates too, so that neither network always runs on the caches that the other one left behind.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from enhance.conditions import Conditions

Stopwatch = Callable[[int], float]
"""Runs a network the given number of times in a row and returns the total seconds."""

LEAST_S = 0.05
"""A network is repeated until one timing takes this long, so that clock resolution and interrupts do not matter."""
WARMUP_S = 0.5
"""Warm-up takes at least this long and one round: the first pass loads code and picks kernels."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds per forward pass, one entry per counted round, and the number of warm-up rounds."""

    candidate_s: list[float]
    baseline_s: list[float]
    warmup_rounds: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and the bounds of its confidence interval."""

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

    `on_beat` is called after every timing. `clock` returns seconds and decides when the time is up.
    """
    started = clock()
    pair = _Pair(_calibrate(candidate, on_beat), _calibrate(baseline, on_beat), on_beat)
    warmup_rounds = 1  # calibrating the repeats was the first
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


def enough(candidate_s: list[float], baseline_s: list[float], elapsed_s: float, conditions: Conditions) -> bool:
    """Whether the rounds so far suffice, `elapsed_s` seconds after the start.

    Stopping as soon as the interval is narrow makes it slightly too narrow, since it stops at lucky moments: a little
    fewer than 95 % of the intervals contain the true ratio.
    """
    if len(candidate_s) < conditions.min_rounds:
        return False
    # Asked second: a slow network gets its minimum of rounds, however long they take.
    if elapsed_s >= conditions.max_s:
        return True
    found = ratio_interval(candidate_s, baseline_s)
    # The upper half is the wider one, because the interval is symmetric in the logarithm.
    return found.high <= found.ratio * (1 + conditions.precision)


def ratio_interval(candidate_s: list[float], baseline_s: list[float]) -> Interval:
    """The geometric mean of candidate / baseline over the rounds (at least two), and its 95 % interval.

    A Student's t interval for the mean of the logarithms. Ratios of times are skewed, their logarithms less so, and
    swapping the two networks gives exactly the inverse result.
    """
    logs = np.log(np.asarray(candidate_s) / np.asarray(baseline_s))
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1)) * error
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


class _Pair:
    """Two stopwatches, each with its number of repeats."""

    def __init__(
        self, candidate: tuple[Stopwatch, int], baseline: tuple[Stopwatch, int], on_beat: Callable[[], None]
    ) -> None:
        self._members, self._on_beat = (candidate, baseline), on_beat

    def round(self, index: int) -> tuple[float, float]:
        """Seconds per pass of candidate and baseline; in rounds of odd `index` the baseline goes first."""
        seconds = [0.0, 0.0]
        for member in (0, 1) if index % 2 == 0 else (1, 0):
            stopwatch, repeats = self._members[member]
            seconds[member] = stopwatch(repeats) / repeats
            self._on_beat()
        return seconds[0], seconds[1]


def _calibrate(stopwatch: Stopwatch, on_beat: Callable[[], None]) -> tuple[Stopwatch, int]:
    """The stopwatch, and the power of two of repeats that makes one timing take at least LEAST_S."""
    repeats = 1
    while True:
        seconds = stopwatch(repeats)
        on_beat()
        if seconds >= LEAST_S:
            return stopwatch, repeats
        repeats *= 2
