"""Warm start: trials of earlier ledgers are used if they fit this sweep, otherwise counted with the reason."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from analysis.ledger.files import LedgerError
from analysis.ledger.schema import ADDED_LEAVES
from enhance.config import Scalar, flatten
from sweeps.engine.run.study import Search, SeedResult
from sweeps.engine.run.warm_start import History, history
from sweeps.engine.space import Choice, Integer, Log, Uniform, When
from sweeps.engine.sweep import Budget, Sweep
from tests.analysis.written_ledgers import report_row, run_row, trial_row, write_rows
from tests.sweeps.engine.pretended import small_sweep

DATA = "d" * 16
POINT: dict[str, Scalar] = {"loss.color": 0.5, "loss.tv": 2.0}
STEPS = (10, 30, 90)


class Earlier:
    """A run of an earlier sweep, written row by row."""

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self.folder, self.sweep = folder, sweep
        self.trials: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []

    def tried(self, values: Mapping[str, Scalar], ending: str = "completed", rungs: int = 3, **changes: Any) -> None:
        """A trial that reported at its first rungs; PSNR is 20 dB plus a tenth of its steps."""
        number = len(self.trials)
        config = {f"config.{name}": value for name, value in flatten(self.sweep.config(values)).items()}
        plain = {name: value for name, value in trial_row(number).items() if not name.startswith("config.")}
        ended = {"time.ended": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)}
        row = {**plain, **config, **ended, "ending": ending, "run.data": DATA, "steps": 0, "reason": ""}
        self.trials.append({**row, **changes})
        self.reports += [report_row(number, step, 20 + step / 10, 0.8) for step in STEPS[:rungs]]

    def read(self, sweep: Sweep) -> History:
        objectives = [{"metric": name, "direction": "maximize"} for name in ("psnr_db", "ms_ssim")]
        write_rows(self.folder / "runs" / "part-1.parquet", [run_row(objectives=json.dumps(objectives))])
        write_rows(self.folder / "trials" / "part-1.parquet", self.trials)
        if self.reports:
            write_rows(self.folder / "reports" / "part-1.parquet", self.reports)
        return history(self.folder, sweep, DATA)


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    return Earlier(tmp_path / "run", small_sweep())


def curve(rungs: int) -> dict[int, tuple[float, float]]:
    return {step: (20 + step / 10, 0.8) for step in STEPS[:rungs]}


def test_every_ending_and_seed_is_told(earlier: Earlier) -> None:
    earlier.tried(POINT, seed=0)
    earlier.tried({**POINT, "loss.tv": 3.0}, ending="stopped", rungs=1, reason="rung 0")
    earlier.tried({**POINT, "loss.tv": 4.0}, ending="diverged", rungs=0)
    earlier.tried(POINT, seed=1)
    found = earlier.read(small_sweep())
    assert [(known.values, known.seeds) for known in found.known] == [
        (POINT, (SeedResult("completed", curve(3)), SeedResult("completed", curve(3)))),
        ({**POINT, "loss.tv": 3.0}, (SeedResult("stopped", curve(1), reason="rung 0"),)),
        ({**POINT, "loss.tv": 4.0}, (SeedResult("diverged", {}),)),
    ]
    assert found.refused == {}


def test_the_search_remembers_a_history(earlier: Earlier) -> None:
    earlier.tried(POINT)
    earlier.tried({**POINT, "loss.tv": 3.0}, ending="diverged", rungs=1)
    search = Search(small_sweep())
    for known in earlier.read(small_sweep()).known:
        search.remember(known.values, known.seeds, elsewhere=True)
    assert [trial.state for trial in search.study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert [trial.params for trial in search.study.trials] == [POINT, {**POINT, "loss.tv": 3.0}]
    assert search.study.trials[0].values == [29.0, 0.8]


def fixed(**changes: Scalar) -> dict[str, Scalar]:
    return {"net.channels": 4, "net.blocks": 0, "loss.pixel": 1.0} | {
        name.replace("__", "."): value for name, value in changes.items()
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fixed": fixed(net__channels=8)}, "net.channels is 4, here 8"),
        ({"fixed": fixed(optimizer__lr=0.5)}, "optimizer.lr is 0.0005, here 0.5"),
        ({"fixed": fixed(optimizer__name="sgd", optimizer__lr=5e-4)}, "optimizer.name is adam, here sgd"),
        ({"budget": Budget(trials=9, steps=180)}, "other budget (train.steps is 90, here 180)"),
        ({"budget": Budget(trials=9, steps=90, rungs=2)}, "other budget (rungs at 10, 30, 90, here 30, 90)"),
        ({"objectives": ("psnr_db", "ssim")}, "it has no ssim, which is an objective here"),
        ({"constraints": {"uqi": (">=", 0.5)}}, "it has no uqi, which the constraints bound"),
        (
            {"space": {"loss.color": Log(1.0, 10.0), "loss.tv": Log(0.1, 10.0)}},
            "loss.color lies outside Log(low=1.0, high=10.0)",
        ),
    ],
)
def test_what_does_not_fit_is_counted_with_its_reason(earlier: Earlier, changes: dict[str, Any], reason: str) -> None:
    earlier.tried(POINT)
    earlier.tried({**POINT, "loss.tv": 3.0})
    found = earlier.read(small_sweep(**{"enqueue": {}, **changes}))
    assert found.known == ()
    assert found.refused == {reason: 2}


def test_other_data_failures_and_confirmations(earlier: Earlier) -> None:
    earlier.tried(POINT, **{"run.data": "e" * 16})
    earlier.tried(POINT, ending="failed", rungs=0)
    earlier.tried(POINT, stage="confirm", seed=1000)
    found = earlier.read(small_sweep())
    assert found.known == ()
    assert found.refused == {
        f"other data ({'e' * 16}, here {DATA})": 1,
        "failed, which says nothing about its configuration": 1,
    }


def test_a_completed_trial_with_a_missing_report_is_refused(earlier: Earlier) -> None:
    earlier.tried(POINT, rungs=2)
    assert list(earlier.read(small_sweep()).refused) == ["other budget (rungs at 10, 30, here 10, 30, 90)"]


def test_a_leaf_that_the_run_does_not_know_is_missing(earlier: Earlier) -> None:
    earlier.tried(POINT)
    for row in earlier.trials:
        del row["config.loss.tv"]
    assert earlier.read(small_sweep()).refused == {"it has no loss.tv, which is searched here": 1}


def test_what_was_fixed_may_be_searched_and_what_was_searched_fixed(earlier: Earlier) -> None:
    earlier.tried(POINT)
    earlier.tried({**POINT, "loss.tv": 1.0})
    space = {"loss.color": Uniform(0.0, 1.0), "net.channels": Choice(4, 8), "net.blocks": Integer(0, 3)}
    found = earlier.read(small_sweep(space=space, fixed={"loss.pixel": 1.0, "loss.tv": 2.0}, enqueue={}))
    assert [known.values for known in found.known] == [{"loss.color": 0.5, "net.channels": 4, "net.blocks": 0}]
    assert found.refused == {"loss.tv is 1.0, here 2.0": 1}


def test_conditions_are_respected_and_kinds_survive_gaps(tmp_path: Path) -> None:
    """A column that only some trials have comes back as floats or objects."""
    space = {
        "optimizer.name": Choice("adam", "sgd"),
        "optimizer.momentum": When("optimizer.name", "sgd", Uniform(0.0, 0.9)),
        "optimizer.nesterov": When("optimizer.name", "sgd", Choice(False, True)),
        "net.family": Choice("resnet", "srcnn"),
        "net.blocks": When("net.family", "resnet", Integer(1, 4)),
    }
    sweep = small_sweep(space=space, fixed={"loss.pixel": 1.0}, enqueue={})
    points: list[dict[str, Scalar]] = [
        {"optimizer.name": "adam", "net.family": "srcnn"},
        {
            "optimizer.name": "sgd",
            "optimizer.momentum": 0.5,
            "optimizer.nesterov": True,
            "net.family": "resnet",
            "net.blocks": 2,
        },
    ]
    earlier = Earlier(tmp_path / "run", sweep)
    for point in points:
        earlier.tried(point)
    found = earlier.read(sweep)
    assert found.refused == {}
    assert [known.values for known in found.known] == points
    assert [type(value) for value in found.known[1].values.values()] == [str, float, bool, str, int]


def test_parameters_are_objectives_and_bounds_of_every_ending(earlier: Earlier) -> None:
    earlier.tried(POINT, **{"cost.parameters": 70})
    earlier.tried({**POINT, "loss.tv": 3.0}, ending="stopped", rungs=1, **{"cost.parameters": 80})
    bounds = {"parameters": ("<=", 100.0), "ms_ssim": (">=", 0.5)}
    found = earlier.read(small_sweep(objectives=("psnr_db", "parameters"), constraints=bounds))
    first, second = (known.seeds[0] for known in found.known)
    assert first.objectives[90] == (29.0, 70.0)
    assert first.measured == {"parameters": 70.0, "ms_ssim": pytest.approx(0.9)}
    assert second.measured == {"parameters": 80.0}


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        history(tmp_path, small_sweep(), DATA)


def test_a_ledger_from_before_a_leaf_was_added_is_of_its_default(earlier: Earlier) -> None:
    earlier.tried(POINT)
    for name in ADDED_LEAVES:
        del earlier.trials[0][name]
    assert len(earlier.read(small_sweep()).known) == 1
    changed = small_sweep(fixed={**small_sweep().fixed, "train.memory_format": "contiguous"})
    assert list(earlier.read(changed).refused) == ["train.memory_format is channels_last, here contiguous"]
