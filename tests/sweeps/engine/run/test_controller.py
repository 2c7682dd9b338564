"""The controller: truthful endings, resuming, nothing repeated, nothing lost."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from analysis.ledger.load import load
from analysis.ledger.schema import DATASETS
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.designs import Grid
from sweeps.engine.ledger.writer import encode
from sweeps.engine.protocol import Assignment
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.shutdown import Limits
from sweeps.engine.space import Choice, Log, Uniform
from sweeps.engine.sweep import Budget, Sweep
from tests.sweeps.engine.pretended import CONTEXT, UNREPORTED_S, PretendedWorker, open_ledger, play, small_sweep

KEYS = {name: DATASETS[name].key for name in ("starts", "reports", "trials")}


def begin(root: Path, sweep: Sweep) -> RunController:
    """A controller on `root`, as a new driver would have it: whatever is in the folder is taken up."""
    ledger = open_ledger(root)
    if not list((root / "runs").glob("*.parquet")):
        ledger.commit("runs", [{"run": "r1", "question": "?", "run.data_spec": "demo", **run_row()}])
    controller = RunController(sweep, ledger, CONTEXT)
    controller.restore(**{name: read_rows(root, name, key)[0] for name, key in KEYS.items()})
    return controller


def run_row() -> dict[str, object]:
    return {
        "started": datetime.now(UTC),
        "objectives": encode([{"metric": name, "direction": "maximize"} for name in ("psnr_db", "ms_ssim")]),
    }


@pytest.mark.slow
def test_every_ending_is_in_the_ledger_with_its_reason(tmp_path: Path, sweep: Sweep) -> None:
    def trouble(assignment: Assignment, step: int) -> str:
        color = float(assignment.config["loss.color"])
        return "diverged" if color > 3 else "failed" if color < 0.5 else ""

    controller = begin(tmp_path, sweep.with_budget(trials=40))
    play(controller, PretendedWorker(trouble))
    controller.ledger.close()
    trials = load(tmp_path).trials
    assert len(trials) == 40
    assert set(trials["ending"]) == {"completed", "stopped", "diverged", "failed"}
    assert (trials["reason"].str.len() > 0).equals(trials["ending"] != "completed")
    assert (trials.query("ending == 'completed'")["steps"] == 90).all()
    assert trials.query("ending == 'stopped'")["steps"].isin([10, 30]).all()
    assert trials.query("ending == 'failed'")["metric.psnr_db"].isna().all()


@pytest.mark.slow
def test_optuna_hears_what_the_ledger_says(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep.with_budget(trials=20))
    play(controller, PretendedWorker(lambda a, step: "diverged" if float(a.config["loss.color"]) > 5 else ""))
    states = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}
    for trial in controller.trials.values():
        study_trial = controller.search.study.trials[trial.number]
        assert study_trial.params == dict(trial.values)
        assert study_trial.state == states[trial.ending]
        assert bool(study_trial.constraints) == (trial.ending == "diverged")
        if trial.ending == "completed":
            last = trial.reports[90].metrics
            assert study_trial.values == [last["psnr_db"], last["ms_ssim"]]


@pytest.mark.slow
def test_paired_seeds_share_configurations_and_are_told_together(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep.with_budget(trials=3, seeds=3))
    play(controller, PretendedWorker())
    controller.ledger.close()
    trials = load(tmp_path).trials
    assert trials.groupby("configuration")["seed"].apply(sorted).tolist() == [[0, 1, 2]] * 3
    assert len(controller.search.study.trials) == 3


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [1, 4, 9, 14, 20])
def test_a_killed_run_is_finished_with_nothing_twice_and_nothing_lost(
    tmp_path: Path, sweep: Sweep, killed_after: int
) -> None:
    """The driver dies at a random point: in the middle of a trial, its reports committed and its end not."""
    worker = PretendedWorker()
    controller = begin(tmp_path, sweep)
    heard = 0
    while heard < killed_after and (assignment := controller.next_assignment()):
        worker.start(assignment)
        heard += 1
        while controller.hear(worker.advance()) and heard < killed_after:
            heard += 1
    controller.ledger.close()  # what the system does for a killed process
    ended = {trial.id for trial in controller.trials.values() if trial.ending}
    started = {trial.id for trial in controller.trials.values() if trial.started}

    again, second = PretendedWorker(), begin(tmp_path, sweep)
    play(second, again)
    second.ledger.close()
    ledger = load(tmp_path)
    assert ledger.notes == ()  # a duplicate key would be a note
    assert len(ledger.trials) == sweep.budget.trials
    assert ledger.trials["configuration"].nunique() == sweep.budget.trials
    assert started <= set(ledger.trials["trial"])
    assert not ended & {trial for trial, _ in again.trained}
    assert set(ledger.trials["ending"]) <= {"completed", "stopped"}


def test_a_resumed_trial_is_not_stopped_at_a_rung_that_it_had_passed(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep)
    worker = PretendedWorker()
    assignment = controller.next_assignment()
    assert assignment is not None
    worker.start(assignment)
    assert controller.hear(worker.advance())
    assert controller.hear(worker.advance())  # passed two rungs as the first to arrive, then the driver died
    controller.ledger.close()
    second = begin(tmp_path, sweep)
    for index in range(5):  # better ones have arrived at the first rung since
        second.judge.rungs.record(f"other{index}", 10, (99.0, 99.0))
    again = PretendedWorker()
    first = second.next_assignment()
    assert first is not None
    assert first.trial == assignment.trial
    again.start(first)
    assert second.hear(again.advance())


@pytest.mark.slow
def test_more_trials_extend_a_finished_run(tmp_path: Path, sweep: Sweep) -> None:
    for trials in (4, 9):
        controller = begin(tmp_path, sweep.with_budget(trials=trials))
        worker = PretendedWorker()
        play(controller, worker)
        controller.ledger.close()
    assert len({trial for trial, _ in worker.trained}) == 5
    assert load(tmp_path).trials["number"].tolist() == list(range(9))


def test_a_space_with_few_points_ends_the_run_and_says_so(tmp_path: Path) -> None:
    sweep = small_sweep(
        space={"net.kernel": Choice(3, 5), "net.norm": Choice("none", "batch")},
        enqueue={},
        budget=Budget(trials=9, steps=9),
    )
    controller = begin(tmp_path, sweep)
    worker = PretendedWorker()
    worker_score = "tests.sweeps.engine.pretended.score"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_score, lambda config, seed, step: 20.0 + step)
        play(controller, worker)
    assert any("the space has no further configuration" in note for note in controller.search_notes)
    assert len(controller.trials) == 4


def test_a_lost_trial_ends_as_failed_once(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep)
    assignment = controller.next_assignment()
    assert assignment is not None
    controller.lost(assignment, "its worker died 4 times")
    controller.lost(assignment, "again")
    controller.ledger.close()
    trials = load(tmp_path).trials
    assert trials[["ending", "reason"]].values.tolist() == [["failed", "its worker died 4 times"]]


@pytest.mark.parametrize("ending", ["diverged", "failed"])
def test_work_without_a_report_is_counted_in_rows_and_limits(tmp_path: Path, sweep: Sweep, ending: str) -> None:
    """Trials that never reach a rung: half an hour each, of which one hour and a bit has room for three."""
    worker, limits = PretendedWorker(lambda assignment, step: ending), Limits(device_hours=1.1)
    controller = begin(tmp_path, sweep.with_budget(trials=12))
    while assignment := controller.next_assignment():
        worker.start(assignment)
        controller.hear(worker.advance())
        limits.check(controller)
    assert "1.1 device hours" in controller.closing
    controller.ledger.close()
    trials = load(tmp_path).trials
    assert trials[["rung", "steps", "time.train_s"]].values.tolist() == [[-1, 10, UNREPORTED_S]] * 3

    resumed = begin(tmp_path, sweep.with_budget(trials=12))
    limits.check(resumed)
    assert "1.1 device hours" in resumed.closing  # earlier invocations count


def test_a_lost_trial_costs_the_time_since_it_was_heard_of(
    tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 160.0, 400.0])
    monkeypatch.setattr("sweeps.engine.run.controller.time", SimpleNamespace(monotonic=lambda: next(clock)))
    controller, worker = begin(tmp_path, sweep), PretendedWorker()
    assignment = controller.next_assignment()
    assert assignment is not None
    worker.start(assignment)
    assert controller.hear(worker.advance())
    controller.lost(assignment, "its worker died 4 times")
    controller.ledger.close()
    row = load(tmp_path).trials.iloc[0]
    assert (row["steps"], row["rung"]) == (10, 0)
    assert row["time.train_s"] == pytest.approx(0.1 + 240)  # the report at step 10, and what came after it


def test_a_trial_is_named_by_what_decides_its_numbers(tmp_path: Path, sweep: Sweep) -> None:
    def ids(sweep: Sweep, **setting: str) -> set[str]:
        ledger = open_ledger(tmp_path / "-".join(["x", *setting.values()]))
        controller = RunController(sweep, ledger, dataclasses.replace(CONTEXT, **setting))
        controller.has_work()
        controller.ledger.close()
        return set(controller.trials)

    same = ids(sweep)
    assert ids(sweep, data="e" * 16) != same
    assert ids(sweep, code="e" * 16) != same
    assert ids(sweep.with_budget(steps=180), data="d" * 16) != same
    assert ids(sweep.with_budget(trials=30)) == same


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_finite_space_is_tried_to_its_last_point(tmp_path: Path, sampler: str) -> None:
    """TPE comes back to points that it likes; that is no sign that there are no others."""
    space = {"net.kernel": Choice(1, 3, 5), "net.channels": Choice(2, 4, 6, 8), "net.norm": Choice("none", "batch")}
    fixed = {"net.blocks": 0, "loss.color": 1.0, "loss.tv": 1.0}
    budget = Budget(trials=100, steps=90, rungs=1)
    controller = begin(tmp_path, small_sweep(space=space, enqueue={}, fixed=fixed, sampler=sampler, budget=budget))
    play(controller, PretendedWorker())
    assert any("the space has no further configuration" in note for note in controller.search_notes)
    assert len({tuple(trial.values.items()) for trial in controller.trials.values()}) == 3 * 4 * 2


@pytest.mark.slow
def test_a_sampler_without_ideas_does_not_end_the_search_of_an_endless_space(tmp_path: Path) -> None:
    """NSGA-II repeats itself long before its budget is spent; untried points take the place of what it repeats."""
    space = {"loss.color": Log(0.1, 10.0), "loss.tv": Uniform(0.1, 10.0), "optimizer.name": Choice("adam", "sgd")}
    budget = Budget(trials=60, steps=9, rungs=1)
    options = {"population": 4, "mutation": 0.01, "crossover": 0.01}
    sweep = small_sweep(space=space, enqueue={}, budget=budget, sampler="nsga2", sampler_options=options)
    controller = begin(tmp_path / "run", sweep)
    play(controller, PretendedWorker())
    assert len({tuple(trial.values.items()) for trial in controller.trials.values()}) == 60
    assert controller.proposals.replaced > 0
    assert [note.split()[:3] for note in controller.search_notes] == [[str(controller.proposals.replaced), "of", "60"]]
    again = begin(tmp_path / "again", sweep)
    play(again, PretendedWorker())
    assert list(again.trials) == list(controller.trials)


def test_a_design_that_is_done_is_not_called_a_space_that_is(tmp_path: Path) -> None:
    sweep = small_sweep(design=Grid(levels=2), enqueue={}, budget=Budget(trials=9, steps=9, rungs=1))
    controller = begin(tmp_path, sweep)
    play(controller, PretendedWorker())
    assert len(controller.trials) == 4
    assert [note.split(";")[0] for note in controller.search_notes] == ["the design has no further point"]


# --- confirmation ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_best_are_confirmed_on_fresh_seeds_to_the_full_budget(tmp_path: Path, sweep: Sweep) -> None:
    sweep = dataclasses.replace(sweep.with_budget(trials=12, confirm=2, confirm_seeds=3), stopping="none")
    controller = begin(tmp_path, sweep)
    play(controller, PretendedWorker())
    assert controller.finished
    controller.ledger.close()
    trials = load(tmp_path).trials
    search, confirm = (trials[trials["stage"] == stage] for stage in ("search", "confirm"))
    completed = search[search["ending"] == "completed"].set_index("number")["metric.psnr_db"]
    # the pretended objectives agree, so that the best are the highest
    assert set(confirm["number"]) == set(completed.nlargest(2).index)
    assert confirm.groupby("number")["seed"].apply(sorted).tolist() == [[1000, 1001, 1002]] * 2
    assert (confirm["ending"] == "completed").all()
    assert (confirm["steps"] == 90).all()
    assert set(confirm["configuration"]) <= set(search["configuration"])


@pytest.mark.slow
def test_the_sampler_never_hears_of_confirmations(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep.with_budget(trials=9, confirm=2))
    play(controller, PretendedWorker())
    assert len(controller.search.study.trials) == 9
    assert all(len(trial.values or []) in (0, 2) for trial in controller.search.study.trials)


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [5, 9, 10, 11, 13])
def test_confirmations_are_resumed_like_everything_else(tmp_path: Path, sweep: Sweep, killed_after: int) -> None:
    sweep = dataclasses.replace(sweep.with_budget(confirm=2, confirm_seeds=2), stopping="none")
    controller = begin(tmp_path, sweep)
    play(controller, PretendedWorker(), trials=killed_after)
    controller.ledger.close()
    second = begin(tmp_path, sweep)
    play(second, PretendedWorker())
    assert second.finished
    second.ledger.close()
    trials = load(tmp_path).trials
    assert trials["stage"].value_counts().to_dict() == {"search": 9, "confirm": 4}
    assert not trials["trial"].duplicated().any()


def test_nothing_is_confirmed_where_nothing_completed(tmp_path: Path, sweep: Sweep) -> None:
    controller = begin(tmp_path, sweep.with_budget(confirm=2))
    play(controller, PretendedWorker(lambda assignment, step: "diverged"))
    assert controller.finished
    assert {trial.stage for trial in controller.trials.values()} == {"search"}


# --- the audit ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_spared_trials_go_on_to_the_end_and_decide_about_nobody(tmp_path: Path, sweep: Sweep) -> None:
    budgets = {share: sweep.with_budget(trials=40, audit_share=share) for share in (0.0, 0.3, 1.0)}
    tables = {}
    for share, audited in budgets.items():
        controller = begin(tmp_path / str(share), dataclasses.replace(audited, sampler="random"))
        play(controller, PretendedWorker())
        controller.ledger.close()
        tables[share] = load(tmp_path / str(share)).trials.set_index("number")
    plain, audited, all_spared = tables.values()
    assert set(all_spared["ending"]) == {"completed"}
    spared = audited["spared"] >= 0
    assert 2 <= spared.sum() <= 20
    assert set(audited.loc[spared, "ending"]) == {"completed"}
    # Whom a rung stops is what it was without the audit, and a spared trial is marked with the rung that would have.
    assert set(plain.index[plain["ending"] == "stopped"]) == set(
        audited.index[spared | (audited["ending"] == "stopped")]
    )
    assert (audited.loc[spared, "spared"] == plain.loc[spared, "rung"]).all()


@pytest.mark.slow
def test_the_coin_falls_the_same_way_whatever_happens(tmp_path: Path, sweep: Sweep) -> None:
    """A trial that was spared before its driver died is spared again, and not recorded at later rungs."""
    sweep = dataclasses.replace(sweep.with_budget(trials=30, audit_share=0.4), sampler="random")
    whole = begin(tmp_path / "whole", sweep)
    play(whole, PretendedWorker())
    for trials in (7, 7, 30):
        controller = begin(tmp_path / "killed", sweep)
        play(controller, PretendedWorker(), trials=trials)
        controller.ledger.close()
    spared = {trial.id: trial.spared for trial in whole.trials.values()}
    again = {trial.id: trial.spared for trial in controller.trials.values() if trial.id in spared}
    assert len(again) >= 7
    assert all(spared[name] == rung for name, rung in again.items())


# --- closing -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_closed_run_gives_nothing_out_and_can_be_taken_up_again(tmp_path: Path, sweep: Sweep) -> None:
    controller, worker = begin(tmp_path, sweep), PretendedWorker()
    assignment = controller.next_assignment()
    assert assignment is not None
    worker.start(assignment)
    controller.close("its time is over")
    assert not controller.hear(worker.advance())  # the stretch is finished and recorded, and the worker is free
    assert controller.next_assignment() is None
    assert not controller.finished
    controller.ledger.close()
    second = begin(tmp_path, sweep)
    first = second.next_assignment()
    assert first is not None
    assert first.trial == assignment.trial
    play(second, PretendedWorker())
