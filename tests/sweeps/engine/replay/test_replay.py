"""Replay: the real search and rungs run on recorded curves; failures lose and repeat nothing."""

import dataclasses
from collections import Counter
from pathlib import Path

import moocore
import numpy as np
import pyarrow.parquet as pq
import pytest

from sweeps.engine.designs import Grid
from sweeps.engine.environment import analysis_command
from sweeps.engine.ledger.writer import Ledger, encode, to_table
from sweeps.engine.replay.arms import EARLY, Arm, Outcome
from sweeps.engine.replay.command import MemoryLedger, main, replay, sweep_of
from sweeps.engine.replay.recording import Recording, RecordingError, load
from sweeps.engine.replay.simulation import RESTARTS, Simulation, Trouble, TroubleError
from sweeps.engine.replay.volume import Volume
from sweeps.engine.run.cohorts import Cohorts
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.trials import RunContext
from sweeps.engine.space import Choice, When
from tests.places import GOLDEN
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, play, small_sweep

GRID = GOLDEN / "grid.parquet"

HALVING = Arm("each", "pareto", 4, 3)
CALM = Trouble()


@pytest.fixture(scope="module")
def grid() -> Recording:
    return load(GRID, [(5, 2), (4, 3), (1, 3)])


@pytest.fixture(scope="module")
def volume(grid: Recording) -> Volume:
    return Volume(grid)


def medians(grid: Recording, volume: Volume, arm: Arm, seeds: int = 20) -> tuple[float, float, float]:
    """Share of the hypervolume at a fifth of the steps and at the end, and share of the steps: medians over seeds."""
    outcomes = [replay(grid, volume, sweep_of(grid, arm, seed), 4, CALM) for seed in range(seeds)]
    figures = [(o.volume_share(EARLY), o.volume_share(), o.steps_share) for o in outcomes]
    early, end, steps = np.median(figures, axis=0)
    return float(early), float(end), float(steps)


def test_the_recorded_grid_is_complete_and_small(grid: Recording) -> None:
    assert GRID.stat().st_size < 200_000
    assert len(grid.curves) >= 200
    assert grid.unused == {}
    assert len(grid.curves) == np.prod([len(entry.values) for entry in grid.space.values()])  # type: ignore[union-attr]
    front = moocore.filter_dominated(grid.final(grid.curves), maximise=[True, False])
    assert len(front) >= 5  # else there is no trade between quality and size to be found


@pytest.mark.simulation
def test_halving_by_all_objectives_finds_the_front_at_a_fifth_of_the_cost(grid: Recording, volume: Volume) -> None:
    early, end, steps = medians(grid, volume, HALVING)
    assert steps <= 0.2
    assert early == end >= 0.95
    budget_of_random, everything, all_steps = medians(grid, volume, Arm("each", "none", 1, 3), seeds=5)
    assert budget_of_random < early
    assert everything == pytest.approx(1)
    assert all_steps == 1


def test_the_volume_is_that_of_the_rectangles_under_the_front(grid: Recording, volume: Volume) -> None:
    points = grid.final(grid.curves)
    order = points[np.lexsort((-points[:, 0], points[:, 1]))]  # small networks first
    area, best = 0.0, volume.reference[0]
    for psnr_db, parameters in order:
        if psnr_db > best and parameters < volume.reference[1]:
            area += (psnr_db - best) * (volume.reference[1] - parameters)
            best = psnr_db
    assert volume.full == pytest.approx(area)
    front = volume.front(points)
    for column, reference, worst in zip(front.T, volume.reference, (front[:, 0].min(), front[:, 1].max()), strict=True):
        assert abs(reference - worst) == pytest.approx(np.ptp(column) / 10)
    assert volume.share(points) == pytest.approx(1)
    assert volume.share(points[:0]) == 0


@pytest.mark.slow
def test_one_worker_takes_the_recorded_time_and_many_share_it(grid: Recording, volume: Volume) -> None:
    sweep = sweep_of(grid, Arm("each", "none", 1, 3), 0)
    alone = replay(grid, volume, sweep, 1, CALM)
    recorded_s = sum(
        sum(report.train_s for report in curve.reports.values()) + curve.reports[81].eval_s
        for curve in grid.curves.values()
    )
    assert alone.time_s == pytest.approx(recorded_s)
    even = [replay(grid, volume, sweep, workers, CALM, step_s=0.5).time_s for workers in (1, 4, 1000)]
    assert even == [240 * 81 * 0.5, 60 * 81 * 0.5, 81 * 0.5]


@pytest.mark.slow
def test_a_replay_repeats_itself(grid: Recording, volume: Volume) -> None:
    trouble = Trouble(stragglers=0.2, lost=0.2, nan=0.2, seed=3)
    for arm in (HALVING, Arm("random", "first", 4, 3)):
        one, two = (replay(grid, volume, sweep_of(grid, arm, 7), 4, trouble) for _ in range(2))
        assert one == two
        assert one != replay(grid, volume, sweep_of(grid, arm, 8), 4, trouble)


def troubled(grid: Recording, volume: Volume, arm: Arm, trouble: Trouble) -> tuple[Outcome, MemoryLedger]:
    ledger = MemoryLedger()
    return replay(grid, volume, sweep_of(grid, arm, 0), 8, trouble, ledger=ledger), ledger


@pytest.mark.slow
@pytest.mark.parametrize("stopping", ["pareto", "first", "median", "none"])
def test_trouble_neither_loses_nor_doubles_a_row(grid: Recording, volume: Volume, stopping: str) -> None:
    trouble = Trouble(stragglers=0.3, lost=0.7, nan=0.2, seed=1)
    outcome, ledger = troubled(grid, volume, Arm("each", stopping, 5, 2), trouble)
    starts, reports, trials = (ledger.rows[name] for name in ("starts", "reports", "trials"))
    assert {row["trial"] for row in starts} == {row["trial"] for row in trials}
    assert len(starts) == len(trials) == len(grid.curves)
    keys = Counter((row["trial"], row["step"]) for row in reports)
    assert set(keys.values()) == {1}
    rungs = sweep_of(grid, Arm("each", stopping, 5, 2), 0).budget.rung_steps()
    for row in trials:
        reached = tuple(step for step in rungs if (row["trial"], step) in keys)
        assert reached == rungs[: len(reached)]  # no report is missing below the last
        assert row["steps"] == (reached[-1] if reached else 0)
        assert (row["ending"] == "completed") == (reached == rungs)
        assert (row["reason"] == "") == (row["ending"] == "completed")
    expected = {"completed", "diverged", "failed"} | (set() if stopping == "none" else {"stopped"})
    assert set(outcome.endings) == expected
    assert len(outcome.history) == outcome.endings["completed"]  # what was stopped is no result


@pytest.mark.slow
def test_every_ending_is_the_one_that_was_injected(grid: Recording, volume: Volume) -> None:
    arm = Arm("each", "none", 4, 3)
    trouble = Trouble(lost=0.5, nan=0.3, seed=2)
    outcome, ledger = troubled(grid, volume, arm, trouble)
    steps, begun = (0, 3, 9, 27, 81), 0.0
    ended = {row["trial"]: row["ending"] for row in ledger.rows["trials"]}
    rungs = Counter(row["trial"] for row in ledger.rows["reports"])
    for trial, ending in ended.items():
        fate = trouble.fate(trial, stretches=4)
        # Trouble befalls in the order of stretches, attempt by attempt; within a stretch a worker dies before its end.
        ends_at = 4 if fate.diverges is None else fate.diverges
        fatal = len(fate.deaths) > RESTARTS and all(stretch <= ends_at for stretch, _ in fate.deaths)
        assert ending == ("failed" if fatal else "completed" if fate.diverges is None else "diverged")
        assert fatal or rungs[trial] == ends_at
        attempts = next((n for n, (stretch, _) in enumerate(fate.deaths) if stretch > ends_at), len(fate.deaths))
        begun += sum(steps[at] + share * (steps[at + 1] - steps[at]) for at, share in fate.deaths[:attempts])
        begun += 0 if fatal else steps[min(ends_at + 1, 4)]
    assert outcome.steps_share == pytest.approx(begun / (81 * len(grid.curves)))


@pytest.mark.slow
def test_lost_work_is_paid_for(grid: Recording, volume: Volume) -> None:
    arm = Arm("each", "none", 4, 3)
    calm, _ = troubled(grid, volume, arm, CALM)
    lost, _ = troubled(grid, volume, arm, Trouble(lost=0.5))
    slow, _ = troubled(grid, volume, arm, Trouble(stragglers=0.2, slowdown=20))
    assert lost.steps_share > calm.steps_share == slow.steps_share == 1
    assert lost.time_s > calm.time_s
    assert slow.time_s > calm.time_s


@pytest.mark.slow
def test_a_trial_has_the_same_fate_under_every_rule(grid: Recording, volume: Volume) -> None:
    trouble = Trouble(nan=0.5)
    ends = [
        {row["trial"] for row in ledger.rows["trials"] if row["ending"] == "diverged"}
        for _, ledger in (troubled(grid, volume, Arm("each", rule, 4, 3), trouble) for rule in ("none", "pareto"))
    ]
    assert ends[1] < ends[0]


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(TroubleError, match=r"nan=1\.5 must be a share"):
        Trouble(nan=1.5)


@pytest.mark.slow
def test_a_point_that_was_not_recorded_ends_as_refused(grid: Recording, volume: Volume) -> None:
    kept = dict(list(grid.curves.items())[::2])
    part = dataclasses.replace(grid, curves=kept)
    outcome = replay(part, volume, sweep_of(part, Arm("random", "none", 1, 3), 0), 2, CALM)
    assert outcome.endings["refused"] > 20
    assert sum(outcome.endings.values()) == len(kept)
    assert outcome.steps_share == outcome.endings["completed"] / len(kept)
    listed = replay(part, volume, sweep_of(part, Arm("each", "none", 1, 3), 0), 2, CALM)
    assert listed.endings == {"completed": len(kept)}


@pytest.mark.slow
def test_trials_that_are_put_aside_go_on_from_their_state(grid: Recording) -> None:
    sweep = sweep_of(grid, Arm("each", "pareto", 4, 3), 0)
    sweep = sweep.with_budget(trials=81)
    results = []
    for workers, trouble in ((1, CALM), (7, Trouble(stragglers=0.3, lost=0.1))):
        ledger = MemoryLedger()
        controller = RunController(sweep, ledger, RunContext(data="d", code="c", columns={}), admission=Cohorts)
        simulation = Simulation(controller, grid.find, workers, trouble)
        simulation.play()
        results.append({row["trial"]: (row["ending"], row["steps"]) for row in ledger.rows["trials"]})
        if trouble is CALM:
            assert simulation.steps == 81 * 3 + 27 * 6 + 9 * 18 + 3 * 54
    assert results[0] == results[1]


@pytest.mark.slow
def test_the_curves_of_a_ledger_can_be_replayed(tmp_path: Path) -> None:
    sweep = small_sweep(objectives=("ms_ssim", "psnr_db"), stopping="first").with_budget(trials=30)
    objectives = [{"metric": name, "direction": "maximize"} for name in sweep.objectives]
    row = {"run": "r", "started": np.datetime64(0, "us").item(), "objectives": encode(objectives)}
    with Ledger(tmp_path) as ledger:
        ledger.commit("runs", [row])
        controller = RunController(sweep, ledger, CONTEXT)
        play(controller, PretendedWorker())
    completed = [trial for trial in controller.trials.values() if trial.ending == "completed"]
    recording = load(tmp_path, [(3, 3)])
    assert recording.objectives == sweep.objectives
    assert sum(recording.unused.values()) == 30 - len(completed)
    assert set(recording.unused) <= {"without a report at step 30", "without a report at step 90"}
    assert recording.final([recording.key(completed[0].values)]).tolist() == [
        [completed[0].reports[90].metrics[name] for name in sweep.objectives]
    ]
    outcome = replay(recording, Volume(recording), sweep_of(recording, Arm("each", "none", 3, 3), 0), 2, CALM)
    assert outcome.endings == {"completed": len(completed)}
    assert outcome.volume_share() == pytest.approx(1)


def test_leaves_of_one_variant_are_searched_under_its_condition(tmp_path: Path) -> None:
    common = {"seed": 0, "config.train.steps": 9, "config.loss.pixel": 1.0, "config.optimizer.lr": 1e-3}
    variants = [("adam", None, 0.9), ("sgd", 0.5, None), ("sgd", 0.9, None)]
    rows = [
        {"trial": str(n), "config.optimizer.name": name, "config.optimizer.momentum": momentum,
         "config.optimizer.beta1": beta1, "parameters": 10 + n, "step": step, "metric.psnr_db": 20.0 + n + step,
         "train_s": 1.0, "eval_s": 0.5} | common
        for n, (name, momentum, beta1) in enumerate(variants) for step in (3, 9)
    ]  # fmt: skip
    path = tmp_path / "curves.parquet"
    pq.write_table(to_table(rows), path)
    recording = load(path, [(2, 3)])
    assert next(iter(recording.space)) == "optimizer.name"
    assert isinstance(recording.space["optimizer.momentum"], When)
    assert isinstance(recording.space["optimizer.beta1"], When)
    outcome = replay(recording, Volume(recording), sweep_of(recording, Arm("each", "none", 2, 3), 0), 1, CALM)
    assert outcome.endings == {"completed": 3}
    assert outcome.time_s == 3 * (2 * 1.0 + 2 * 0.5)


def recorded(path: Path, optimizers: list[dict[str, object]]) -> Recording:
    """The recording of a file with a trial of two reports for each of `optimizers`."""
    leaves = {f"config.optimizer.{name}": None for own in optimizers for name in own}
    rows = [
        {"trial": str(n), "seed": 0, "config.train.steps": 9, "config.loss.pixel": 1.0, "parameters": 10 + n, **leaves,
         **{f"config.optimizer.{name}": value for name, value in own.items()}, "step": step,
         "metric.psnr_db": 20.0 + n + step, "train_s": 1.0, "eval_s": 0.5}
        for n, own in enumerate(optimizers) for step in (3, 9)
    ]  # fmt: skip
    pq.write_table(to_table(rows), path)
    return load(path, [(2, 3)])


def test_a_leaf_that_two_variants_have_was_searched_where_it_is_not_their_own(tmp_path: Path) -> None:
    adamw, sgd = {"name": "adamw", "beta1": 0.9}, {"name": "sgd", "beta1": None}
    adams = [{"name": "adam", "beta1": 0.5}, {"name": "adam", "beta1": 0.7}]
    recording = recorded(tmp_path / "a.parquet", [*adams, adamw, sgd])
    assert recording.space["optimizer.beta1"] == When("optimizer.name", "adam", Choice(0.5, 0.7))
    outcome = replay(recording, Volume(recording), sweep_of(recording, Arm("each", "none", 2, 3), 0), 1, CALM)
    assert outcome.endings == {"completed": 4}
    recording = recorded(tmp_path / "b.parquet", [{"name": "adam", "beta1": 0.9}, adamw, sgd])
    assert "optimizer.beta1" not in recording.space  # nothing was searched
    with pytest.raises(RecordingError, match=r"only some trials have optimizer\.beta1, and no single variant decides"):
        recorded(tmp_path / "c.parquet", [{"name": "adam", "beta1": 0.5}, {"name": "adamw", "beta1": 0.7}, sgd])


def test_rungs_that_were_not_recorded_are_refused_with_those_that_were(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="at step 16, where a rung is requested; the reports are at 1, 2, 3, 5, 9"):
        load(GRID, [(2, 5)])
    with pytest.raises(RecordingError, match="has no objective ssim; choose from psnr_db, ms_ssim, parameters"):
        load(GRID, [(2, 3)], ["ssim"])


@pytest.mark.slow
def test_the_command_prints_every_arm(capsys: pytest.CaptureFixture[str]) -> None:
    main([str(GRID), "--samplers", "each", "--stopping", "pareto,none", "--rungs", "3,4", "--seeds", "1"])
    printed = capsys.readouterr().out
    assert "240 curves of 81 steps; points of their space: 240" in printed
    for cell in ("9 27 81", "3 9 27 81", "100.0 (100.0-100.0)", "240 completed"):
        assert cell in printed
    assert main([str(GRID), "--reduction", "5", "--rungs", "2"]) == 2
    assert "choose other rungs" in capsys.readouterr().out


def small_run(root: Path) -> Path:
    """The ledger of a whole grid of four configurations, with rungs at 10, 30 and 90."""
    space = {"loss.color": Choice(0.5, 1.0), "loss.tv": Choice(0.5, 2.0)}
    sweep = small_sweep(space=space, enqueue={}, stopping="none", design=Grid()).with_budget(trials=4)
    objectives = [{"metric": name, "direction": "maximize"} for name in sweep.objectives]
    row = {"run": "r", "started": np.datetime64(0, "us").item(), "objectives": encode(objectives)}
    with Ledger(root) as ledger:
        ledger.commit("runs", [row | {"contract": encode({"rungs": [10, 30, 90], "reduction": 3})}])
        play(RunController(sweep, ledger, CONTEXT), PretendedWorker())
    return root


@pytest.mark.slow
def test_the_outcomes_are_kept_beside_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept is what `replay` gives; a second replay overwrites nothing."""
    run = small_run(tmp_path / "run")
    for _ in range(2):
        main([str(run), "--stopping", "pareto,none", "--seeds", "3"])
    assert f"{analysis_command()} stopping {run}" in capsys.readouterr().out
    files = sorted((run / "replay").iterdir())
    assert len(files) == 2
    rows = pq.read_table(files[0]).to_pylist()
    assert len({row["replay"] for row in rows}) == 1
    assert Counter((row["sampler"], row["stopping"]) for row in rows) == {
        (sampler, rule): 3 for sampler in ("random", "tpe") for rule in ("pareto", "none")
    }
    assert {row["rung_steps"] for row in rows} == {"10 30 90"}  # the run's own
    recording = load(run, [(3, 3)])
    for row in rows:
        arm = Arm(row["sampler"], row["stopping"], row["rungs"], row["reduction"])
        found = replay(recording, Volume(recording), sweep_of(recording, arm, row["seed"]), row["workers"], CALM)
        assert (row["steps_share"], row["volume_share"]) == (found.steps_share, found.volume_share())
        assert row["n_completed"] == found.endings["completed"]
        assert row["best"] == found.best


def test_a_space_too_large_for_a_grid_is_searched_point_by_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"trial": str(n), "seed": 0, "config.train.steps": 9, "parameters": 10 + n, "step": step,
         **{f"config.loss.{name}": 0.1 + n for name in ("pixel", "color", "tv", "content")},
         "metric.psnr_db": 20.0 + n, "train_s": 1.0, "eval_s": 0.5}
        for n in range(20) for step in (3, 9)
    ]  # fmt: skip
    pq.write_table(to_table(rows), tmp_path / "curves.parquet")
    main([str(tmp_path / "curves.parquet"), "--rungs", "2", "--stopping", "none", "--seeds", "1"])
    printed = capsys.readouterr().out
    assert "20 curves of 9 steps; points of their space: too many to count" in printed
    assert "20 completed" in printed


@pytest.mark.slow
def test_of_a_file_nothing_is_kept(tmp_path: Path) -> None:
    grid = tmp_path / "grid.parquet"
    grid.write_bytes(GRID.read_bytes())
    main([str(grid), "--samplers", "each", "--stopping", "none", "--rungs", "1", "--seeds", "1"])
    assert list(tmp_path.iterdir()) == [grid]


def test_outcomes_that_cannot_be_kept_are_shown_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_run(tmp_path / "run")
    (run / "replay").write_text("a file")
    assert main([str(run), "--stopping", "none", "--seeds", "1"]) == 2
    printed = capsys.readouterr().out
    assert "10 30 90" in printed
    assert f"the outcomes could not be kept in {run}: File exists" in printed
