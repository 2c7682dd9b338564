"""Optuna is told the truth: every state, value, constraint and intermediate value."""

import logging
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from sweeps.engine.designs import Ablation, Factorial, Grid
from sweeps.engine.run.study import Search, SeedResult
from sweeps.engine.samplers import SAMPLERS, sampler_problems
from sweeps.engine.space import Integer, Log
from sweeps.engine.sweep import Sweep
from tests.sweeps.engine.pretended import small_sweep

FULL = {10: (20.0, 0.8), 90: (22.0, 0.9)}
SHORT = {10: (20.0, 0.8)}
POINT = {"loss.color": 1.0, "loss.tv": 1.0}
QUICK = {"tpe": {"startup_trials": 2}, "gp": {"startup_trials": 4}, "nsga2": {"population": 3}, "cmaes": {}}


def told(*seeds: SeedResult, remembered: bool = False, **changes: object) -> FrozenTrial:
    search = Search(small_sweep(**changes))
    if remembered:
        search.remember(POINT, seeds, "even")
    else:
        number, _, _ = search.ask()
        search.tell(number, seeds)
    return search.study.trials[0]


REMEMBERED = pytest.mark.parametrize("remembered", [False, True])


@REMEMBERED
@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_every_ending_is_told_as_what_it_is(remembered: bool, sampler: str) -> None:
    def end(*seeds: SeedResult) -> FrozenTrial:
        return told(*seeds, remembered=remembered, sampler=sampler)

    other = SeedResult("completed", {10: (22.0, 0.9), 90: (24.0, 1.0)})
    complete = end(SeedResult("completed", FULL), other)
    assert (complete.state, complete.values) == (TrialState.COMPLETE, [23.0, pytest.approx(0.95)])
    assert (complete.params, complete.constraints) == (POINT, {})
    stopped = end(SeedResult("completed", FULL), SeedResult("stopped", SHORT))
    assert (stopped.state, stopped.values, stopped.constraints) == (TrialState.PRUNED, None, {})
    diverged = end(SeedResult("stopped", FULL), SeedResult("diverged", SHORT))
    assert (diverged.state, diverged.values, diverged.constraints) == (TrialState.PRUNED, None, {"diverged": 1.0})
    failed = end(SeedResult("failed", {}), SeedResult("diverged", SHORT))
    assert (failed.state, failed.values, failed.constraints) == (TrialState.FAIL, None, {})
    refused = end(SeedResult("failed", {}), SeedResult("refused", {}))
    assert (refused.state, refused.values, refused.constraints) == (TrialState.PRUNED, None, {"refused": 1.0})


@REMEMBERED
def test_label_ending_and_reason_are_attributes(remembered: bool) -> None:
    seeds = [SeedResult("diverged", {}, reason=reason) for reason in ("loss is nan", "loss exploded", "loss is nan")]
    trial = told(*seeds, SeedResult("stopped", {}, reason="rung 0"), remembered=remembered)
    assert trial.user_attrs == {"label": "even", "ending": "diverged", "reason": "loss is nan; loss exploded"}


@REMEMBERED
def test_a_single_objective_has_its_intermediate_values(remembered: bool) -> None:
    seeds = [SeedResult("stopped", {10: (20.0,), 30: (21.0,)}), SeedResult("completed", {10: (22.0,), 30: (23.0,)})]
    trial = told(*seeds, objectives=("psnr_db",), remembered=remembered)
    assert trial.intermediate_values == {10: 21.0, 30: 22.0}
    assert (trial.state, trial.value) == (TrialState.PRUNED, 22.0)  # Optuna shows a pruned trial's last report
    assert not any(name.startswith("rung:") for name in trial.user_attrs)


@REMEMBERED
def test_several_objectives_have_theirs_in_attributes(remembered: bool) -> None:
    other = SeedResult("stopped", {10: (22.0, 0.9)})
    trial = told(SeedResult("completed", FULL), other, remembered=remembered)
    assert trial.user_attrs["rung:10"] == [21.0, pytest.approx(0.85)]
    assert "rung:90" not in trial.user_attrs  # the other seed never came there
    assert trial.intermediate_values == {}


@REMEMBERED
def test_bounds_are_constraints_that_are_zero_or_less_where_kept(remembered: bool) -> None:
    bounds = {"psnr_db": (">=", 21.0), "parameters": ("<=", 100)}
    seeds = [
        SeedResult("completed", FULL, {"psnr_db": 22.0, "parameters": 130}),
        SeedResult("completed", FULL, {"psnr_db": 24.0, "parameters": 130}),
    ]
    assert told(*seeds, constraints=bounds, remembered=remembered).constraints == {"psnr_db": -2.0, "parameters": 30.0}
    short = SeedResult("diverged", SHORT, {"parameters": 90})
    expected = {"diverged": 1.0, "parameters": -10.0}
    assert told(short, constraints=bounds, remembered=remembered).constraints == expected


def test_a_completed_configuration_must_have_what_is_bounded() -> None:
    with pytest.raises(ValueError, match="needs psnr_db measured"):
        told(SeedResult("completed", FULL), constraints={"psnr_db": (">=", 21.0)})


ENDINGS = [
    SeedResult("failed", {}, {"parameters": 10}),
    SeedResult("refused", {}),
    SeedResult("diverged", {}),
    SeedResult("stopped", {10: (20.0, 0.8)}, {"parameters": 90}),
    SeedResult("diverged", {10: (20.0, 0.8)}, {"parameters": 200}),
    *(SeedResult("completed", {10: (20.0, 0.8), 90: (22.0 + i % 3, 0.9)}, {"parameters": 95 + i}) for i in range(8)),
]
STATES = [TrialState.FAIL, *[TrialState.PRUNED] * 4, *[TrialState.COMPLETE] * 8]


def cut(seed: SeedResult, objectives: int) -> SeedResult:
    shortened = {step: values[:objectives] for step, values in seed.objectives.items()}
    return SeedResult(seed.ending, shortened, seed.measured)


def sampling(sampler: str, objectives: int, **changes: object) -> Sweep:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    space = {"loss.color": Log(0.1, 10.0), "loss.tv": Log(0.1, 10.0), "net.blocks": Integer(0, 3)}
    names = ("psnr_db", "ms_ssim")[:objectives]
    if sampler_problems(sampler, {}, space, objectives, tuple(changes.get("constraints", {}))):  # type: ignore[arg-type]
        pytest.skip(f"{sampler} refuses this")
    fixed = {"net.channels": 4, "loss.pixel": 1.0}
    shared = {"space": space, "fixed": fixed, "objectives": names, "enqueue": {}, "sampler": sampler}
    return small_sweep(sampler_options=QUICK.get(sampler, {}), **{**shared, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_asks_on_after_every_ending(
    sampler: str, objectives: int, bounded: bool, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """With others running meanwhile, without a warning; and the journal shows what the study shows."""
    bounds = {"parameters": ("<=", 100.0)} if bounded else {}
    search = Search(sampling(sampler, objectives, constraints=bounds), tmp_path / "journal")
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.WARNING):
        waiting = [search.ask()[0], search.ask()[0]]
        for seed in ENDINGS:
            waiting.append(search.ask()[0])
            search.tell(waiting.pop(0), [cut(seed, objectives)])
    optuna.logging.disable_propagation()
    assert not caplog.records
    trials = search.study.trials
    assert [trial.state for trial in trials] == [*STATES, TrialState.RUNNING, TrialState.RUNNING]
    last = [[20.0], [20.0]] if objectives == 1 else [None, None]  # Optuna shows a pruned trial's last report
    assert [trial.values for trial in trials[:5]] == [None, None, None, *last]
    assert [trial.values for trial in trials[5:13]] == [[22.0 + i % 3, 0.9][:objectives] for i in range(8)]
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    assert optuna.load_study(study_name="small", storage=storage).trials == trials


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.slow
def test_a_resumed_sampler_knows_what_was_tried(sampler: str) -> None:
    """With the same seed it draws something else than one that knows nothing (but for those that never learn)."""
    sweep = sampling(sampler, 1)

    def asked(knows: bool) -> list[dict[str, object]]:
        search = Search(sweep, known=12)
        for index in range(12 if knows else 0):
            values = {"loss.color": 0.2 + 0.01 * index, "loss.tv": 0.3, "net.blocks": index % 3}
            search.remember(values, [SeedResult("completed", {90: (float(index),)})])
        return [dict(search.ask()[1]) for _ in range(3)]

    assert (asked(True) == asked(False)) == (sampler == "random")


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_conditions_and_failed_first_trials_do_no_harm(sampler: str) -> None:
    search = Search(sampling(sampler, 2))
    for _ in range(6):
        search.tell(search.ask()[0], [SeedResult("failed", {})])
    for _ in range(3):
        search.tell(search.ask()[0], [SeedResult("refused", {})])
    assert search.ask()[0] == 9


def test_a_torn_journal_of_before_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"op_code": 0, "torn')
    search = Search(small_sweep(), path)
    search.remember(POINT, [SeedResult("completed", FULL)])
    search.adopt({"loss.color": 2.0, "loss.tv": 1.0}, "mine")
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="small", storage=storage)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert study.trials[1].user_attrs == {"label": "mine"}
    path.unlink()  # lost while the run goes on: nothing of the search depends on it
    search.tell(1, [SeedResult("stopped", SHORT)])
    assert search.study.trials[1].state == TrialState.PRUNED


def test_a_dashboard_that_is_open_follows_a_resumed_run(tmp_path: Path) -> None:
    """It keeps how far it has read of the file, which therefore never becomes another one under it."""
    path = tmp_path / "journal"
    first = Search(small_sweep(), path)
    first.remember(POINT, [SeedResult("completed", FULL)])
    first.tell(first.ask()[0], [SeedResult("stopped", SHORT)])
    dashboard = JournalStorage(JournalFileBackend(str(path)))
    assert len(optuna.load_study(study_name="small", storage=dashboard).trials) == 2
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "torn')  # the driver was killed
    for resumption in range(2):
        again = Search(small_sweep(), path)
        again.remember(POINT, [SeedResult("completed", FULL)])
        for count in range(3 + resumption):
            again.tell(again.ask()[0], [SeedResult("stopped" if count else "completed", SHORT if count else FULL)])
        (study,) = optuna.get_all_study_summaries(storage=dashboard)
        assert study.study_name == "small"
        for storage in (dashboard, JournalStorage(JournalFileBackend(str(path)))):
            shown = optuna.load_study(study_name="small", storage=storage).trials
            assert [(t.number, t.state, t.params) for t in shown] == [
                (t.number, t.state, t.params) for t in again.study.trials
            ]


def test_a_design_is_handed_out_in_order_and_then_exhausted() -> None:
    search = Search(small_sweep(design=Ablation(POINT, off={"loss.color": 0.1, "loss.tv": 0.1}), enqueue={}))
    asked = [search.ask()[1:] for _ in range(3)]
    without = [{"loss.color": 0.1, "loss.tv": 1.0}, {"loss.color": 1.0, "loss.tv": 0.1}]
    assert asked == [(POINT, "base"), (without[0], "loss.color=0.1"), (without[1], "loss.tv=0.1")]
    assert search.exhausted
    with pytest.raises(LookupError, match="the design of 'small' has no further point"):
        search.ask()


def test_first_settings_precede_a_design_and_nothing_is_given_twice() -> None:
    search = Search(small_sweep(design=Grid(levels=3)))
    asked = []
    while not search.exhausted:
        asked.append(search.ask()[1:])
    assert asked[0] == (POINT, "even")
    assert len(asked) == 9
    assert len({tuple(values.items()) for values, _ in asked}) == 9


def test_a_resumed_design_goes_on_where_it_stood() -> None:
    sweep = small_sweep(design=Factorial(), enqueue={})
    before = Search(sweep)
    done, begun = before.ask()[1], before.ask()[1]
    search = Search(sweep, known=2)
    search.remember(done, [SeedResult("completed", FULL)])
    search.adopt(begun)
    rest = [search.ask()[1], search.ask()[1]]
    assert search.exhausted
    assert rest == [before.ask()[1], before.ask()[1]]


def test_what_was_tried_elsewhere_is_tried_here_as_well() -> None:
    search = Search(small_sweep())
    search.remember(POINT, [SeedResult("completed", FULL)], elsewhere=True)
    assert search.ask()[1:] == (POINT, "even")


def test_a_sampler_is_never_exhausted() -> None:
    assert not Search(small_sweep(enqueue={})).exhausted


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
        search = Search(small_sweep(enqueue={}, sampler="random", search_seed=seed), known=known)
        return [float(search.ask()[1]["loss.color"]) for _ in range(4)]

    assert draws(0) == draws(0)
    assert not np.isin(draws(4), draws(0)).any()
    assert draws(0, seed=1) != draws(0)


def test_tpe_avoids_where_trials_diverged() -> None:
    """The sampler must learn from infeasible trials: told as FAIL they would be invisible to it."""
    search = Search(small_sweep(enqueue={}))
    low = 0
    for index in range(60):
        number, values, _ = search.ask()
        bad = float(values["loss.color"]) < 1.0
        low += bad and index >= 30
        score = {90: (20.0 + float(values["loss.tv"]), 0.5)}
        search.tell(number, [SeedResult("diverged", {}) if bad else SeedResult("completed", score)])
    assert low < 8  # half of the (log) space is bad; a sampler that saw nothing would go there 15 times in 30
