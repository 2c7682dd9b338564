"""Sweeps and budgets are refused at construction, naming every problem at once."""

import math

import pytest

from sweeps.engine.space import Choice, Log, Uniform
from sweeps.engine.sweep import Budget, SweepError
from tests.sweeps.engine.pretended import small_sweep


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


def test_enqueued_points_must_be_points_of_the_space() -> None:
    with pytest.raises(SweepError, match=r"enqueue\['odd'\]: loss.color=100.0 lies outside"):
        small_sweep(enqueue={"odd": {"loss.color": 100.0, "loss.tv": 1.0}})


def test_the_budget_is_part_of_the_configuration() -> None:
    assert small_sweep().config({}).train.steps == 90
    assert small_sweep().with_budget(steps=180).config({}).train.steps == 180


def test_a_loss_cannot_be_an_objective() -> None:
    """Sums that configurations weigh differently have no common unit, so comparing them would mean nothing."""
    for loss in ("loss.total", "loss_total", "pixel"):
        with pytest.raises(SweepError, match=f"unknown objective '{loss}'; choose from psnr_db"):
            small_sweep(objectives=(loss,))


def test_data_without_pairs_need_a_rule_and_objectives_without_them() -> None:
    with pytest.raises(SweepError, match=r"unpaired:x holds no pairs: train.rule must be cycle"):
        small_sweep().check_data(False, "unpaired:x", 100)
    small_sweep().check_data(True, "demo", 100)
    with pytest.raises(SweepError, match=r"cycle_psnr_db needs train.rule=cycle"):
        small_sweep(objectives=("cycle_psnr_db",))


def test_a_constraint_is_refused_where_no_trial_can_give_its_metric() -> None:
    with pytest.raises(SweepError, match=r"cycle_psnr_db needs train.rule=cycle"):
        small_sweep(constraints={"cycle_psnr_db": (">=", 10.0)})
    cycle = {"train.rule": "cycle", "loss.cycle": 10.0, "loss.adversarial": 1.0, "critic.family": "patch"}
    bounded = small_sweep(
        fixed=cycle,
        space={"optimizer.lr": Choice(1e-4, 1e-3)},
        enqueue={},
        objectives=("cycle_psnr_db",),
        constraints={"psnr_db": (">=", 20.0)},
    )
    with pytest.raises(SweepError, match=r"holds no pairs.*, not psnr_db"):
        bounded.check_data(False, "unpaired:x", 100)


def test_a_space_whose_every_corner_breaks_a_law_between_leaves_is_refused() -> None:
    with pytest.raises(SweepError, match=r"train.crop_px=24 does not suit net.family=unet"):
        small_sweep(
            fixed={"net.family": "unet", "loss.pixel": 1.0, "train.crop_px": 24},
            space={"net.levels": Choice(4, 5)},
            enqueue={},
        )


def test_enqueued_points_must_be_whole_configurations() -> None:
    with pytest.raises(SweepError, match=r"enqueue\['bad'\]: critic.norm=batch cannot be used with"):
        small_sweep(
            fixed={"net.channels": 4, "loss.adversarial": 1.0, "critic.family": "patch"},
            space={
                "adversarial.objective": Choice("bce", "wasserstein_gp"),
                "critic.norm": Choice("instance", "batch"),
            },
            enqueue={"bad": {"adversarial.objective": "wasserstein_gp", "critic.norm": "batch"}},
        )


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "-rf", "two words", "x" * 81])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str) -> None:
    with pytest.raises(SweepError, match="names folders"):
        small_sweep(name=name)


def test_an_analysis_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SweepError, match="answered_by='fronteir' is not an analysis; choose from frontier, stability"):
        small_sweep(answered_by="fronteir")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": {"net.channels": Choice([4, 8])}}, ("[4, 8]", "Choice(4, 8)")),  # type: ignore[arg-type]
        ({"space": {"net.channels": [4, 8]}}, ("net.channels", "[4, 8]", "Choice")),
        ({"space": {"loss.color": Log}}, ("loss.color", "is not a range", "Log(low, high)")),
        ({"space": {"loss.color": Uniform("a", 2)}}, ("low='a'", "numbers")),  # type: ignore[arg-type]
        ({"space": [4, 8]}, ("dictionary", "[4, 8]")),
        ({"constraints": {"parameters": 100}}, ("parameters", '("<=", number)', "100")),
        ({"constraints": {"parameters": ("<=", math.nan)}}, ("parameters", "nan")),
        ({"budget": Budget(trials=10**20, steps=9)}, ("budget.trials=100000000000000000000", "1,000,000,000")),
        ({"budget": Budget(trials=1, steps=9, rungs=10**8)}, ("budget.rungs=100000000",)),
    ],
)
def test_what_is_no_range_and_no_number_is_refused_with_what_would_be(
    changes: dict[str, object], said: tuple[str, ...]
) -> None:
    with pytest.raises(SweepError) as refused:
        small_sweep(**{"enqueue": {}, "fixed": {"loss.pixel": 1.0}, **changes})
    assert [part for part in said if part not in str(refused.value)] == []


def test_crops_that_no_picture_of_the_data_holds_are_refused_once() -> None:
    fixed = {"net.channels": 4, "net.blocks": 0, "loss.pixel": 1.0}
    with pytest.raises(SweepError, match=r"train.crop_px=128 is larger than the pictures of demo: .* 100"):
        small_sweep(fixed={**fixed, "train.crop_px": 128}).check_data(True, "demo", 100)
    searched = small_sweep(fixed=fixed, enqueue={}, space={"train.crop_px": Choice(32, 128)})
    searched.check_data(True, "demo", 100)  # some trials will be refused, and others not
