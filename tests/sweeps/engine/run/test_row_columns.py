"""Every file of a dataset has the run's columns, so that other tools read a ledger without options."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeps.engine.ledger.writer import Ledger, encode
from sweeps.engine.protocol import Assignment
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.row_columns import config_leaves, full_rows
from sweeps.engine.space import Choice, Log, Uniform, When
from sweeps.engine.sweep import Sweep
from tests.docs.pages import blocks
from tests.places import ROOT
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, play, small_sweep

README_LINES = next(block for block in blocks(ROOT / "docs/ledger.md") if "read_parquet" in block.text)

RUN_ROW = {
    "run": "r1",
    "question": "?",
    "run.data_spec": "demo",
    "started": datetime(2026, 1, 1, tzinfo=UTC),
    "objectives": encode([{"metric": "psnr_db", "direction": "maximize"}]),
}

WEIGHTS = {"loss.color": Log(0.1, 10.0), "loss.tv": Log(0.1, 10.0)}
OPTIMIZERS = {**WEIGHTS, "optimizer.name": Choice("adam", "sgd", "rmsprop")}
MOMENTUM = {**OPTIMIZERS, "optimizer.momentum": When("optimizer.name", "sgd", Uniform(0.0, 0.9))}
FAMILIES = {**WEIGHTS, "net.family": Choice("srcnn", "resnet", "shuffle")}


def first_diverges() -> Callable[[Assignment, int], str]:
    """Trouble for the first trial, before its first rung."""
    seen: list[str] = []

    def trouble(assignment: Assignment, step: int) -> str:
        seen.append(assignment.trial)
        return "diverged" if len(seen) == 1 else ""

    return trouble


def sweep_over(space: dict[str, object]) -> Sweep:
    fixed = {"loss.pixel": 1.0, "net.channels": 4}
    return small_sweep(space=space, fixed=fixed, enqueue={}, sampler="random")


def played(sweep: Sweep, root: Path, trouble: Callable[[Assignment, int], str] | None = None) -> None:
    """A run of `sweep` in `root`, trained by the pretended worker."""
    with Ledger(root) as ledger:
        ledger.promise_columns(full_rows(sweep, CONTEXT, paired=True))
        ledger.commit("runs", [RUN_ROW])
        play(RunController(sweep, ledger, CONTEXT), PretendedWorker(trouble))


@pytest.mark.slow
@pytest.mark.parametrize(
    "space", [WEIGHTS, OPTIMIZERS, MOMENTUM, FAMILIES], ids=["weights", "optimizers", "momentum", "families"]
)
def test_the_lines_of_the_page_read_a_run_whose_first_trial_never_reported(
    space: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, run = sweep_over(space), tmp_path / "runs/NAME"
    played(sweep, run, first_diverges())
    monkeypatch.chdir(tmp_path)
    exec(compile(README_LINES.text, README_LINES.name, "exec"), {})
    for dataset in ("starts", "reports", "trials"):
        files = sorted((run / dataset).glob("*.parquet"))
        wanted = list(dict.fromkeys(name for file in files for name in pq.read_schema(file).names))
        assert list(pd.read_parquet(run / dataset).columns) == wanted
        assert pl.scan_parquet(run / dataset / "*.parquet").collect().columns == wanted
        assert duckdb.sql(f"select * from '{run / dataset}/*.parquet'").columns == wanted
    trials = pd.read_parquet(run / "trials")
    assert trials["metric.psnr_db"].notna().sum() == len(trials) - 1
    assert {name for name in trials if name.startswith("config.")} == {
        f"config.{name}" for name in config_leaves(sweep)
    }


def test_leaves_are_null_where_a_configuration_has_none(tmp_path: Path) -> None:
    played(sweep_over(MOMENTUM), tmp_path)
    trials = pd.read_parquet(tmp_path / "trials")
    assert set(trials["config.optimizer.name"]) == {"adam", "sgd", "rmsprop"}
    assert (trials["config.optimizer.beta1"].notna() == (trials["config.optimizer.name"] == "adam")).all()


def test_the_columns_are_those_that_the_sweep_can_fill() -> None:
    sweep = small_sweep()
    reports = set(full_rows(sweep, CONTEXT, paired=True)["reports"])
    assert {"loss.pixel", "loss.color", "loss.tv", "loss.total"} == {
        name for name in reports if name.startswith("loss.")
    }
    assert not [name for name in reports if name.startswith("signal.")]
    game = small_sweep(
        fixed={"loss.adversarial": 1.0, "train.crop_px": 64, "net.family": "curve", "net.base": "resnet"}
    )
    signals = {name for name in full_rows(game, CONTEXT, paired=True)["reports"] if name.startswith("signal.")}
    assert "signal.critic_loss" in signals
    assert "signal.control_point" in signals
    unpaired = full_rows(
        small_sweep(
            fixed={"train.rule": "cycle", "loss.cycle": 1.0},
            space={"loss.identity": Log(0.1, 1.0)},
            enqueue={},
            objectives=("cycle_psnr_db",),
        ),
        CONTEXT,
        paired=False,
    )
    assert {name for name in unpaired["samples"] if name.startswith("metric.")} == {"metric.cycle_psnr_db"}


def test_a_row_says_how_the_steps_were_taken_as_text_even_if_no_trial_was_built(tmp_path: Path) -> None:
    for captured in ("recorded", None):
        root, worker = tmp_path / str(captured), PretendedWorker()
        worker.captured = captured
        with Ledger(root) as ledger:
            ledger.promise_columns(full_rows(sweep_over(WEIGHTS), CONTEXT, paired=True))
            play(RunController(sweep_over(WEIGHTS), ledger, CONTEXT), worker, 1)
        schema = pq.read_schema(next((root / "trials").glob("*.parquet")))
        assert schema.field("run.captured").type == pa.string()
        assert pl.read_parquet(root / "trials" / "*.parquet")["run.captured"].to_list() == [captured]
