"""Statements about the true front hold as often as claimed (by simulation), and match closed forms."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.fronts import Seeds, draw_true_means, hypervolume, knee, on_front, summarize
from analysis.statistics.intervals import Floats

BOTH = (True, True)


def population(kind: str, rng: np.random.Generator, sweeps: int, k: int, spread: float) -> Floats:
    """True means (sweeps, k, 2) of configurations whose scores agree, oppose each other, or lie along a trade-off."""
    if kind == "trade-off":
        angle, radius = rng.uniform(0, np.pi / 2, (sweeps, k)), 1 - 0.15 * rng.exponential(size=(sweeps, k))
        return 2.5 * spread * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    rho = {"independent": 0.0, "opposed": -0.7, "agreeing": 0.7}[kind]
    return spread * rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], (sweeps, k))


def trained(means: Floats, seeds: int, rng: np.random.Generator) -> Seeds:
    """`means` as `seeds` seeds with a standard deviation of 1 show them."""
    values = means[:, :, None, :] + rng.normal(size=(*means.shape[:2], seeds, 2))
    found = values.mean(axis=2)
    rest = values - found[:, :, None, :]
    k = means.shape[1]
    return Seeds(found, np.full(k, float(seeds)), np.einsum("skni,sknj->sij", rest, rest), k * (seeds - 1))


@pytest.mark.simulation
def test_the_chance_of_being_on_the_front_is_calibrated() -> None:
    """Over sweeps of all kinds: of those that are said to be on the front with some chance, that share is."""
    rng, said, true = np.random.default_rng(0), [], []
    for kind in ("independent", "opposed", "agreeing", "trade-off"):
        for k, seeds in ((3, 3), (6, 3), (12, 3), (12, 5)):
            for spread in (1.0, 2.0, 4.0):
                means = population(kind, rng, 600 // k, k, spread)
                draws = draw_true_means(trained(means, seeds, rng), rng, draws=100)
                said.append(np.mean([on_front(one, BOTH) for one in draws], axis=0).ravel())
                true.append(on_front(means, BOTH).ravel())
    chance, on = np.concatenate(said), np.concatenate(true)
    bins = np.minimum((10 * chance).astype(int), 9)
    off = [chance[bins == b].mean() - on[bins == b].mean() for b in range(10)]
    assert min(np.bincount(bins)) > 300
    assert np.abs(off).max() < 0.05, off


@pytest.mark.parametrize(("k", "seeds", "spread"), [(5, 3, 2.0), (10, 3, 1.0), (20, 2, 3.0)])
@pytest.mark.simulation
def test_intervals_of_the_hypervolume_cover_the_truth(k: int, seeds: int, spread: float) -> None:
    rng, sweeps = np.random.default_rng(1), 1000
    worst, best = np.full(2, -3 * spread), np.full(2, 3 * spread)
    means = population("independent", rng, sweeps, k, spread)
    draws = draw_true_means(trained(means, seeds, rng), rng, draws=200)
    drawn = np.array([[hypervolume(own, BOTH, worst, best) for own in one] for one in draws])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    truth = np.array([hypervolume(own, BOTH, worst, best) for own in means])
    assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


@pytest.mark.slow
def test_means_are_drawn_towards_the_centre_as_the_model_in_closed_form_says() -> None:
    """With hundreds of configurations both variances are known, and so is the posterior (one score, p = 1)."""
    rng, k, seeds = np.random.default_rng(2), 400, 4
    truth = rng.normal(5, 2, k)
    values = np.repeat(truth, seeds) + rng.normal(0, 3, k * seeds)
    draws = draw_true_means(summarize(values[:, None], np.repeat(np.arange(k), seeds)), rng)[..., 0]
    weight = 4 / (4 + 9 / seeds)
    means = values.reshape(k, seeds).mean(axis=1)
    assert np.abs(draws.mean(axis=0) - (means.mean() + weight * (means - means.mean()))).max() < 0.5
    assert draws.std(axis=0).mean() == pytest.approx(np.sqrt(1 / (1 / 4 + seeds / 9)), rel=0.1)


@pytest.mark.simulation
def test_few_seeds_widen_the_draws_as_student_says() -> None:
    """Far apart, nothing is drawn anywhere: what is left is the t interval of each mean, with the pooled spread."""
    rng = np.random.default_rng(3)
    values = np.array([[0.0], [1.0], [2.0], [1000.0], [1001.0], [1002.0], [2000.0], [2001.0], [2002.0]])
    draws = draw_true_means(summarize(values, np.repeat(np.arange(3), 3)), rng, draws=20_000)[:, 1, 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    half = stats.t.ppf(0.975, 6) / np.sqrt(3)
    assert (high - low) / 2 == pytest.approx(half, rel=0.08)
    assert (high + low) / 2 == pytest.approx(1001, abs=0.1)


def test_a_summary_is_what_pandas_would_say() -> None:
    seeds = summarize([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]], [0, 0, 1])
    np.testing.assert_allclose(seeds.means, [[2.0, 10.0], [5.0, 40.0]])
    np.testing.assert_allclose(seeds.scatter, [[2.0, 0.0], [0.0, 0.0]])
    assert (seeds.counts.tolist(), seeds.degrees) == ([2.0, 1.0], 1)


def test_without_repeated_seeds_nothing_is_drawn() -> None:
    with pytest.raises(ValueError, match=">= 2 repeated seeds, got 2 and 0"):
        draw_true_means(summarize([[1.0, 2.0], [2.0, 1.0]], [0, 1]), np.random.default_rng(0))


def test_scores_that_are_one_and_scores_that_no_seed_changes_can_be_drawn() -> None:
    rng = np.random.default_rng(4)
    psnr_db = rng.normal(20, 1, 12)
    same = draw_true_means(summarize(np.stack([psnr_db, psnr_db - 18, np.repeat([1.0, 2, 3, 4], 3)], axis=1),
                                 np.repeat(np.arange(4), 3)), rng, draws=200)  # fmt: skip
    assert np.abs(same[..., 0] - same[..., 1] - 18).max() < 0.05
    assert np.abs(same[..., 2] - [1, 2, 3, 4]).max() < 0.05
    with pytest.raises(ValueError, match="same everywhere"):
        draw_true_means(summarize(np.ones((6, 1)), [0, 0, 1, 1, 2, 2]), rng)


def test_the_same_generator_draws_the_same() -> None:
    seeds = summarize(np.arange(12.0).reshape(6, 2) ** 2, [0, 0, 1, 1, 2, 2])
    one, two = (draw_true_means(seeds, np.random.default_rng(7), draws=5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    few = draw_true_means(seeds, np.random.default_rng(7), draws=5, wanted=np.array([2, 0]))
    np.testing.assert_array_equal(few, one[:, [2, 0]])


def test_the_knee_lies_farthest_beyond_the_line_through_the_ends() -> None:
    front = np.array([[0.0, 100.0], [4.0, 50.0], [8.0, 45.0], [10.0, 0.0]])
    assert knee(front, BOTH) == 2  # 0.8 + 0.45
    assert knee(front * [1, -1], (True, False)) == 2
    assert knee(front[[0, 3]], BOTH) is None
    assert knee(np.array([[0.0, 10.0], [4.0, 4.0], [10.0, 0.0]]), BOTH) is None  # bent inwards


def test_a_volume_is_a_share_of_the_box() -> None:
    worst, best = np.array([0.0, 10.0]), np.array([2.0, 0.0])
    assert hypervolume(np.array([[2.0, 0.0]]), (True, False), worst, best) == pytest.approx(1)
    assert hypervolume(np.array([[1.0, 0.0], [2.0, 5.0]]), (True, False), worst, best) == pytest.approx(0.75)
