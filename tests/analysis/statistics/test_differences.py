"""Differences between two sides: against scipy, by simulation, and in edge cases."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.differences import (
    estimates_difference,
    mcnemar_p,
    rate_differences,
    seeds_difference,
    unpaired_difference,
)
from analysis.statistics.effects import holm

A, B = [20.1, 20.4, 19.8, 20.9], [20.6, 20.3, 21.2]


def test_welch_is_scipys() -> None:
    found = unpaired_difference(A, B)
    expected = stats.ttest_ind(B, A, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.method, found.n) == ("Welch", 7)


def test_one_value_against_several_takes_their_spread() -> None:
    found, turned = unpaired_difference([19.0], A), unpaired_difference(A, [19.0])
    half = stats.t.ppf(0.975, 3) * np.std(A, ddof=1) * np.sqrt(1 + 1 / 4)
    assert (found.high - found.mean) == pytest.approx(half)
    assert found.method == "one seed"
    assert (turned.low, turned.high, turned.p) == pytest.approx((-found.high, -found.low, found.p))


def test_shared_seeds_are_paired() -> None:
    found = seeds_difference(A, B, [0, 1, 2, 3], [3, 1, 2])
    expected = stats.ttest_rel([20.3, 21.2, 20.6], [20.4, 19.8, 20.9])
    assert (found.p, found.method, found.n) == (pytest.approx(expected.pvalue), "paired", 3)


@pytest.mark.parametrize("seeds", [[4, 5, 6], [3, 5, 6]], ids=["none", "one"])
def test_seeds_that_hardly_meet_are_not(seeds: list[int]) -> None:
    assert seeds_difference(A, B, [0, 1, 2, 3], seeds) == unpaired_difference(A, B)


def test_two_of_many_seeds_do_not_decide_for_all() -> None:
    values = np.arange(10.0)
    assert seeds_difference(values, values, np.arange(10), np.arange(8, 18)).method == "Welch"


def test_one_seed_each_has_no_interval() -> None:
    found = unpaired_difference([1.0], [3.0])
    assert (found.mean, found.method) == (2.0, "none")
    assert np.isnan([found.low, found.high, found.p]).all()


def test_what_does_not_vary_is_sure() -> None:
    assert unpaired_difference([1.0, 1.0], [1.0, 1.0])[:4] == (0, 0, 0, 1)
    assert unpaired_difference([1.0, 1.0], [2.0, 2.0])[:4] == (1, 1, 1, 0)


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(ValueError, match="values on both sides, got 0 and 3"):
        unpaired_difference([], B)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_a", "n_b", "sd_a", "sd_b", "shared"),
    [(3, 3, 1, 1, 3), (5, 5, 1, 4, 3), (3, 3, 1, 1, 0), (3, 5, 1, 1, 0), (5, 5, 1, 3, 0), (1, 3, 1, 1, 0),
     (4, 1, 1, 1, 0)],
)  # fmt: skip
def test_intervals_cover_what_they_promise(n_a: int, n_b: int, sd_a: float, sd_b: float, shared: int) -> None:
    """3000 pairs of runs whose true difference is 0.7; a shared seed moves both sides as much as everything else."""
    rng, hits = np.random.default_rng(5), 0
    seeds = (np.arange(n_a), np.arange(n_a - shared, n_a - shared + n_b))
    for _ in range(3000):
        luck = rng.normal(0, 1, n_a + n_b)
        a, b = luck[seeds[0]] + rng.normal(0, sd_a, n_a), 0.7 + luck[seeds[1]] + rng.normal(0, sd_b, n_b)
        found = seeds_difference(a, b, *seeds)
        hits += found.low <= 0.7 <= found.high
    assert 0.92 <= hits / 3000 <= 0.98


@pytest.mark.slow
def test_families_are_rarely_wrong() -> None:
    """1000 comparisons of two runs of 12 configurations and 3 seeds each that differ in nothing but their noise."""
    rng, wrong, uncorrected = np.random.default_rng(6), 0, 0
    for _ in range(1000):
        a, b = rng.normal(0, 1, (2, 12, 3))
        p = [unpaired_difference(x, y).p for x, y in zip(a, b, strict=True)]
        wrong += bool((holm(p) < 0.05).any())
        uncorrected += bool((np.asarray(p) < 0.05).any())
    assert wrong / 1000 < 0.05
    assert uncorrected / 1000 > 0.2


def test_rates_are_newcombes() -> None:
    """Newcombe (1998), Table II, method 10: 56/70 less 48/80, and 9/10 less 3/10; 0/10 less 0/20."""
    ends = [rate_differences(48, 80, 56, 70), rate_differences(3, 10, 9, 10), rate_differences(0, 20, 0, 10)]
    found = [(round(float(low), 4), round(float(high), 4)) for _, low, high in ends]
    assert found == [(0.0524, 0.3339), (0.1705, 0.8090), (-0.1611, 0.2775)]


def test_rates_cover_what_they_promise() -> None:
    rng = np.random.default_rng(7)
    for rate_a, n_a, rate_b, n_b in ((0.1, 30, 0.3, 50), (0.05, 80, 0.05, 80), (0.5, 20, 0.7, 24)):
        a, b = rng.binomial(n_a, rate_a, 4000), rng.binomial(n_b, rate_b, 4000)
        _, low, high = rate_differences(a, n_a, b, n_b)
        assert 0.92 <= ((low <= rate_b - rate_a) & (rate_b - rate_a <= high)).mean() <= 0.98


def test_no_trials_have_no_rate() -> None:
    assert np.isnan(rate_differences(0, 0, 1, 4)).all()


def test_intervals_of_estimates_join_on_their_sides() -> None:
    mean, low, high = estimates_difference((1.0, 0.7, 2.0), (3.0, 2.6, 3.2))
    assert (mean, low, high) == pytest.approx((2.0, 2.0 - np.hypot(0.4, 1.0), 2.0 + np.hypot(0.2, 0.3)))


def test_discordant_pairs_are_binomial() -> None:
    assert mcnemar_p(1, 7) == pytest.approx(stats.binomtest(1, 8).pvalue)
    assert mcnemar_p(4, 4) == mcnemar_p(0, 0) == 1.0
