"""`--fit MINUTES`: the size that ends in time, and the explicit command that stands for it."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.ledger.load import load
from enhance.conditions import Conditions
from sweeps.engine.cli.sizing import fit as fitting
from sweeps.engine.cli.sizing.estimate import Pace
from sweeps.engine.cli.sizing.fit import expected_s, explicit, fit, sizes
from sweeps.engine.command import run
from sweeps.engine.designs import Grid
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Budget, Sweep
from tests.sweeps.engine.pretended import small_sweep

BUDGET = Budget(trials=24, steps=600, rungs=2, reduction=3, confirm=2, confirm_seeds=3)
SWEEP = small_sweep(budget=BUDGET)
DESIGNED = replace(
    SWEEP, space={"loss.tv": Choice(*(float(weight) for weight in range(24)))}, design=Grid(), enqueue={}
)
PACE = Pace(0.1, 1.0)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two configurations, of which one takes three times as long as the other."""
    monkeypatch.setattr(fitting, "_paces", lambda *_: [Pace(0.05, 0.5), Pace(0.15, 1.5)])


def seconds(sweep: Sweep, workers: int = 2) -> list[float]:
    return [expected_s(sweep, budget, PACE, workers) for budget in sizes(sweep)]


def test_every_size_takes_longer_than_the_one_before_and_keeps_the_rungs_apart() -> None:
    assert all(before < after for before, after in itertools.pairwise(seconds(SWEEP)))
    assert BUDGET in sizes(SWEEP)
    for budget in sizes(SWEEP):
        first, last = budget.rung_steps()
        assert last == budget.reduction * first


def test_points_of_a_design_are_not_cut() -> None:
    assert {budget.trials for budget in sizes(DESIGNED)} == {24}
    assert len({budget.steps for budget in sizes(DESIGNED)}) == len(sizes(DESIGNED)) > 5


def test_a_size_takes_what_its_steps_evaluations_and_confirmation_take() -> None:
    budget = replace(BUDGET, trials=9, steps=90, confirm=1, confirm_seeds=1)
    # Nine trials of 30 steps, three of which go on for 60, and a confirmation of 90: with an evaluation at each rung.
    alone = 9 * (30 * 0.1 + 1) + 3 * (60 * 0.1 + 1) + (90 * 0.1 + 2) + (9 + 1) * fitting.TRIAL_S
    assert expected_s(SWEEP, budget, PACE, 0) == pytest.approx(alone)
    assert expected_s(SWEEP, budget, PACE, 1) == pytest.approx(fitting.START_S + alone)
    measured = replace(SWEEP, cost=Conditions(max_s=5.0))
    assert expected_s(measured, budget, PACE, 0) == pytest.approx(9 * 5 + alone)


def test_the_largest_size_that_ends_in_time_is_taken(timed: None) -> None:
    every = seconds(SWEEP)
    for index in (0, 3, len(every) - 1):
        assert fit(SWEEP, None, "cpu", 2, every[index] + 0.001).budget == sizes(SWEEP)[index]  # type: ignore[arg-type]


def test_where_none_ends_in_time_the_smallest_is_taken_and_it_is_said(timed: None) -> None:
    found = fit(SWEEP, None, "cpu", 2, 1.0)  # type: ignore[arg-type]
    assert found.budget == sizes(SWEEP)[0]
    assert "the smallest size there is" in found.words(1.0, "again")
    assert "smallest" not in found.words(1000.0, "again")


@pytest.mark.parametrize("given", [["--fit", "4", "--workers", "0"], ["--workers", "0", "--fit=4"]])
def test_the_numbers_take_the_place_of_the_minutes(given: list[str]) -> None:
    assert explicit(given, BUDGET) == ["--workers", "0", "--trials", "24", "--steps", "600"]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["--steps", "9"], "--steps"),
        (["--trials=9", "--steps=9"], "--trials and --steps"),
        (["--fit", "0"], "> 0"),
        (["--resume", "runs/none"], "--resume"),
        (["--address", "10.0.0.1:6379"], "--address local"),
    ],
)
def test_what_contradicts_it_is_refused(others: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SWEEP, ["--fit", "4", *others]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_ledger_holds_the_explicit_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = small_sweep(budget=Budget(trials=2, steps=9, rungs=2, reduction=3))
    how = ["--workers", "0", "--set", "train.val_images=2", "--samples", "0", "--out", str(tmp_path / "run")]
    # Too short for any size: the smallest, whose steps are one for each rung.
    assert run(sweep, [*how, "--fit", "0.0001"]) == 0
    assert "--trials 1 --steps 3" in " ".join(capsys.readouterr().out.split())
    recorded = load(tmp_path / "run").runs.iloc[0]
    options = json.loads(recorded["options"])
    assert (options["trials"], options["steps"], "fit" in options) == (1, 3, False)
    assert "--fit" not in recorded["command"]
