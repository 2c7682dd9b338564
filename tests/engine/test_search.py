"""What Optuna is told: every state, value, constraint and intermediate value is what happened."""

import numpy as np
import pytest
from optuna.trial import TrialState

from sweeps.engine.search import Search, SeedResult
from tests.engine.conftest import small_sweep

FULL = {10: (20.0, 0.8), 90: (22.0, 0.9)}
SHORT = {10: (20.0, 0.8)}


def told(*seeds: SeedResult, objectives: tuple[str, ...] = ("psnr_db", "ms_ssim"), remembered: bool = False):  # type: ignore[no-untyped-def]
    search = Search(small_sweep(objectives=objectives))
    if remembered:
        search.remember({"loss.color": 1.0, "loss.tv": 1.0}, seeds)
    else:
        number, _, _ = search.ask()
        search.tell(number, seeds)
    return search.study.trials[0]


@pytest.mark.parametrize("remembered", [False, True])
def test_every_ending_is_told_as_what_it_is(remembered: bool) -> None:
    other = SeedResult("completed", {10: (22.0, 0.9), 90: (24.0, 1.0)})
    complete = told(SeedResult("completed", FULL), other, remembered=remembered)
    assert (complete.state, complete.values) == (TrialState.COMPLETE, [23.0, pytest.approx(0.95)])
    stopped = told(SeedResult("stopped", SHORT), remembered=remembered)
    assert (stopped.state, stopped.values, stopped.constraints) == (TrialState.PRUNED, None, {})
    diverged = told(SeedResult("completed", FULL), SeedResult("diverged", SHORT), remembered=remembered)
    assert (diverged.state, diverged.values, diverged.constraints) == (TrialState.PRUNED, None, {"diverged": 1.0})
    failed = told(SeedResult("failed", {}), SeedResult("diverged", SHORT), remembered=remembered)
    assert (failed.state, failed.values) == (TrialState.FAIL, None)


@pytest.mark.parametrize("remembered", [False, True])
def test_a_single_objective_has_its_intermediate_values(remembered: bool) -> None:
    one = SeedResult("stopped", {10: (20.0,), 30: (21.0,)})
    trial = told(one, objectives=("psnr_db",), remembered=remembered)
    assert trial.intermediate_values == {10: 20.0, 30: 21.0}


def test_the_first_configurations_come_first_and_once() -> None:
    search = Search(small_sweep())
    _, values, label = search.ask()
    assert (values, label) == ({"loss.color": 1.0, "loss.tv": 1.0}, "even")
    assert search.ask()[2] == ""
    again = Search(small_sweep(), known=1)
    again.remember({"loss.color": 1.0, "loss.tv": 1.0}, [SeedResult("completed", FULL)])
    assert again.ask()[2] == ""


def test_the_same_seed_asks_the_same_and_a_resumed_one_draws_afresh() -> None:
    def draws(known: int, seed: int = 0) -> list[float]:
        search = Search(small_sweep(first={}, sampler="random", search_seed=seed), known=known)
        return [float(search.ask()[1]["loss.color"]) for _ in range(4)]

    assert draws(0) == draws(0)
    assert not np.isin(draws(4), draws(0)).any()
    assert draws(0, seed=1) != draws(0)


def test_tpe_avoids_where_trials_diverged() -> None:
    """The sampler must learn from infeasible trials: told as FAIL they would be invisible to it."""
    search = Search(small_sweep(first={}))
    low = 0
    for index in range(60):
        number, values, _ = search.ask()
        bad = float(values["loss.color"]) < 1.0
        low += bad and index >= 30
        score = {90: (20.0 + float(values["loss.tv"]), 0.5)}
        search.tell(number, [SeedResult("diverged", {}) if bad else SeedResult("completed", score)])
    assert low < 8  # half of the (log) space is bad; a sampler that saw nothing would go there 15 times in 30
