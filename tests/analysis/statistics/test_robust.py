"""Spreads, interquartile means, paired effects and Holm's correction keep their stated error rates."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.effects import holm, paired_effects
from analysis.statistics.intervals import rate_interval, rate_intervals, spread_interval
from analysis.statistics.robust import FEWEST_DEGREES, interquartile_interval, interquartile_mean

SWEEPS = 1000


def test_many_rates_have_the_intervals_of_each() -> None:
    low, high = rate_intervals([0, 3, 7, 7], 7)
    ends = [rate_interval(count, 7) for count in (0, 3, 7, 7)]
    np.testing.assert_allclose(low, [one.low for one in ends], atol=1e-12)
    np.testing.assert_allclose(high, [one.high for one in ends], atol=1e-12)
    assert np.isnan(rate_intervals(0, 0)).all()
    with pytest.raises(ValueError, match="0 <= count <= n"):
        rate_intervals([8], [7])


@pytest.mark.parametrize(("n", "rate"), [(8, 0.3), (20, 0.15), (60, 0.05), (60, 0.5)])
def test_rate_intervals_cover_the_truth(n: int, rate: float) -> None:
    low, high = rate_intervals(np.random.default_rng(2).binomial(n, rate, SWEEPS), n)
    assert 0.92 <= np.mean((low <= rate) & (rate <= high)) <= 0.98


def test_a_spread_has_the_chi_squared_interval() -> None:
    low, high = spread_interval(2.0, 9)
    assert low == pytest.approx(2 * np.sqrt(9 / stats.chi2.ppf(0.975, 9)))
    assert high == pytest.approx(2 * np.sqrt(9 / stats.chi2.ppf(0.025, 9)))
    assert np.isnan(spread_interval(2.0, 0)).all()


@pytest.mark.parametrize(("configurations", "seeds"), [(1, 2), (1, 5), (7, 4), (20, 2)])
def test_intervals_of_a_pooled_spread_cover_the_truth(configurations: int, seeds: int) -> None:
    values = np.random.default_rng(3).normal(0, 0.3, (SWEEPS, configurations, seeds))
    pooled = np.sqrt(values.var(axis=2, ddof=1).mean(axis=1))
    low, high = spread_interval(pooled, configurations * (seeds - 1))
    assert 0.92 <= np.mean((low <= 0.3) & (high >= 0.3)) <= 0.98


def test_interquartile_mean_is_the_trimmed_mean() -> None:
    values = np.random.default_rng(4).normal(size=23)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_a_quarter_of_lost_runs_is_borne_and_more_is_not() -> None:
    assert interquartile_mean([-np.inf, -np.inf, 1, 2, 3, 4, 5, 6]) == pytest.approx(2.5)
    assert interquartile_mean([-np.inf, -np.inf, -np.inf, 2, 3, 4, 5, 6]) == -np.inf


@pytest.mark.slow
@pytest.mark.parametrize(("configurations", "seeds"), [(1, 11), (1, 40), (5, 3), (10, 2), (7, 4), (20, 3)])
def test_interquartile_intervals_cover_the_truth(configurations: int, seeds: int) -> None:
    """The population is what unlimited seeds of the same configurations would give."""
    rng = np.random.default_rng(5)
    centers, strata = np.linspace(0, 2, configurations), np.repeat(np.arange(configurations), seeds)
    truth = interquartile_mean(centers[:, None] + rng.normal(0, 0.5, (configurations, 100_000)))
    samples = centers[:, None] + rng.normal(0, 0.5, (SWEEPS, configurations, seeds))
    ends = [interquartile_interval(sample.ravel(), strata, rng, resamples=300) for sample in samples]
    assert 0.92 <= np.mean([one.low <= truth <= one.high for one in ends]) <= 0.98


def test_strata_of_different_sizes_keep_their_shares() -> None:
    """Resamples of a stratum without spread give the statistic itself, whatever k - 1 draws do to its size."""
    values, strata = np.r_[np.zeros(9), np.full(2, 4.0), np.full(9, 8.0)], np.repeat([0, 1, 2], [9, 2, 9])
    found = interquartile_interval(values, strata, np.random.default_rng(0), resamples=50)
    assert found == pytest.approx((interquartile_mean(values),) * 3)


def test_too_few_seeds_give_no_interquartile_interval() -> None:
    values = np.random.default_rng(6).normal(size=FEWEST_DEGREES)
    assert np.isnan(interquartile_interval(values, np.zeros(FEWEST_DEGREES), np.random.default_rng(0)).low)
    alone = np.r_[np.zeros(FEWEST_DEGREES + 1), 1]  # the second stratum has one value
    assert np.isnan(interquartile_interval(np.r_[values, 1, 2], alone, np.random.default_rng(0)).low)


def test_a_lost_run_can_leave_the_lower_end_without_a_value() -> None:
    values = np.r_[np.full(6, -np.inf), np.linspace(0, 1, 18)]
    found = interquartile_interval(values, np.zeros(24), np.random.default_rng(0))
    assert np.isfinite(found.mean)
    assert found.low == -np.inf
    assert np.isfinite(found.high)


def test_paired_effects_are_those_of_a_paired_t_test() -> None:
    one, other = np.random.default_rng(7).normal(size=(2, 5))
    expected = stats.ttest_rel(one, other)
    found = paired_effects(one - other)
    assert found.p[0] == pytest.approx(expected.pvalue)
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(expected.confidence_interval()))


def test_one_seed_gives_an_effect_and_no_interval() -> None:
    found = paired_effects([[0.5], [-0.5]])
    assert found.mean.tolist() == [0.5, -0.5]
    assert np.isnan([found.low, found.high, found.p]).all()
    assert paired_effects([0.0, 0.0, 0.0]).p[0] == 1
    assert paired_effects([1.0, 1.0, 1.0]).p[0] == 0


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_of_paired_effects_cover_the_truth_where_seeds_and_configurations_differ(seeds: int) -> None:
    """What a seed does to both sides drops out, and the two sides need not vary alike."""
    rng = np.random.default_rng(8)
    shared = rng.normal(0, 2.0, (SWEEPS, seeds))
    full, without = shared + rng.normal(21, 0.1, (SWEEPS, seeds)), shared + rng.normal(20.5, 0.6, (SWEEPS, seeds))
    found = paired_effects(without - full)
    assert 0.92 <= np.mean((found.low <= -0.5) & (found.high >= -0.5)) <= 0.98


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    found = holm([0.2, np.nan, 0.9])
    assert found[[0, 2]].tolist() == pytest.approx([0.4, 0.9])
    assert np.isnan(found[1])
    assert holm([]).size == 0


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_holm_keeps_the_error_of_a_family_of_effects_that_share_their_base(seeds: int) -> None:
    """Eleven effects of nothing against one base, as in sweeps/loss_terms.py: any called sure is an error."""
    scores = np.random.default_rng(9).normal(21, 0.3, (4 * SWEEPS, 12, seeds))
    differences = scores[:, 1:] - scores[:, :1]
    p = paired_effects(differences.reshape(-1, seeds)).p.reshape(-1, 11)
    assert np.mean([(holm(row) < 0.05).any() for row in p]) <= 0.05
    assert np.mean((p < 0.05).any(axis=1)) > 0.15  # without it, far more
