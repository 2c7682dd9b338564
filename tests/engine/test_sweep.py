"""Sweeps and budgets are refused when they are built, with every problem at once."""

import pytest

from sweeps.engine.space import Log
from sweeps.engine.sweep import Budget, SweepError
from tests.engine.conftest import small_sweep


def test_rungs_end_at_the_budget_and_grow_by_the_reduction() -> None:
    assert Budget(trials=1, steps=600, rungs=3, reduction=3).rung_steps() == (66, 200, 600)
    assert Budget(trials=1, steps=600, rungs=1).rung_steps() == (600,)
    assert Budget(trials=1, steps=64, rungs=3, reduction=4).rung_steps() == (4, 16, 64)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(SweepError) as refused:
        small_sweep(
            budget=Budget(trials=0, steps=5, rungs=0),
            objectives=("psnr_db", "psnr"),
            sampler="tpo",
            fixed={"loss.color": 1.0, "train.steps": 7},
            space={"loss.color": Log(0.1, 10.0), "los.tv": Log(0.1, 1.0)},
        )
    said = str(refused.value)
    for part in (
        "budget.trials=0",
        "budget.rungs=0",
        "'psnr'",
        "'tpo'",
        "cannot be fixed and searched",
        "did you mean",
    ):
        assert part in said
    assert "budget.steps" in said
    assert len(refused.value.problems) >= 7


def test_a_budget_too_short_for_its_rungs_is_refused() -> None:
    with pytest.raises(SweepError, match="at least 9"):
        small_sweep(budget=Budget(trials=1, steps=8, rungs=3, reduction=3))


def test_first_settings_must_be_points_of_the_space() -> None:
    with pytest.raises(SweepError, match=r"first\['odd'\]: loss.color=100.0 lies outside"):
        small_sweep(first={"odd": {"loss.color": 100.0, "loss.tv": 1.0}})


def test_the_budget_is_part_of_the_configuration() -> None:
    assert small_sweep().config({}).train.steps == 90
    assert small_sweep().with_budget(steps=180).config({}).train.steps == 180
