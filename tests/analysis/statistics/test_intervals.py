"""Intervals cover what they claim, and agree with the textbook."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import mean_interval, mean_interval_from_spread, rate_interval


def test_mean_interval_is_that_of_a_t_test() -> None:
    values = [21.3, 20.9, 21.8, 21.1]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval(values, confidence=0.9)
    assert interval.mean == pytest.approx(np.mean(values))
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_mean_interval_covers_the_truth_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(7)
    intervals = [mean_interval(rng.normal(21.0, 0.3, n)) for _ in range(1000)]
    assert 0.93 <= np.mean([one.low <= 21.0 <= one.high for one in intervals]) <= 0.97


def test_interval_from_spread_covers_the_truth_as_often_as_it_says() -> None:
    values = np.random.default_rng(11).normal(0.9, 0.05, (1000, 24))
    low, high = mean_interval_from_spread(values.mean(1), values.std(1, ddof=1), 24)
    assert 0.93 <= np.mean((low <= 0.9) & (high >= 0.9)) <= 0.97


def test_rate_interval_covers_the_truth_as_often_as_it_says() -> None:
    counts = np.random.default_rng(13).binomial(60, 0.1, 400)
    ends = [rate_interval(int(count), 60) for count in counts]
    assert 0.92 <= np.mean([one.low <= 0.1 <= one.high for one in ends]) <= 0.98


def test_rate_interval_is_wilsons() -> None:
    count, n, z = 5, 60, stats.norm.ppf(0.975)
    center = (count + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(count * (n - count) / n + z**2 / 4)
    assert rate_interval(count, n) == pytest.approx((count / n, center - half, center + half))


def test_rate_interval_of_none_and_all_stays_open_on_one_side() -> None:
    assert rate_interval(0, 10)[:2] == (0.0, 0.0)
    assert rate_interval(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    assert rate_interval(10, 10)[::2] == (1.0, 1.0)


def test_there_is_no_interval_where_it_cannot_be_known() -> None:
    low, high = mean_interval_from_spread([1.0, 1.0, np.nan, 1.0], [0.1, np.nan, 0.1, 0.1], [1, 5, 5, np.nan])
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_equal_values_give_an_interval_without_width() -> None:
    assert mean_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [([1.0], "at least 2 values"), ([[1.0, 2.0]], "one row"), ([1.0, np.nan, 3.0], "finite values, got nan")],
)
def test_a_mean_of_what_has_none_is_refused(values: list[float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mean_interval(values)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="0 < confidence < 1 must hold, got 95"):
        mean_interval([1.0, 2.0], confidence=95)
    with pytest.raises(ValueError, match=r"spread must be >= 0, got -0\.1"):
        mean_interval_from_spread(1.0, -0.1, 5)
    for count, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match=f"got count={count}, n={n}"):
            rate_interval(count, n)
