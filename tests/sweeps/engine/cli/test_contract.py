"""Resuming a run after a code change: refused unless the user accepts it."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.ledger.load import load
from enhance.data import open_data
from sweeps.engine import environment
from sweeps.engine.command import run
from sweeps.loss_weights import SWEEP as LOSS_WEIGHTS
from tests.places import GOLDEN
from tests.sweeps.engine.pretended import small_sweep

HERE = ["--workers", "0", "--set", "train.val_images=2"]
OTHER = "f" * 16


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two trials, after which the code changes."""
    assert run(small_sweep(), [*HERE, "--smoke", "--out", str(tmp_path)]) == 0
    monkeypatch.setattr(environment, "code_hash", lambda: OTHER)
    return tmp_path


@pytest.mark.slow
def test_a_change_of_code_is_refused_with_the_override(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(small_sweep(), ["--resume", str(changed), "--workers", "0", "--trials", "3"]) == 2
    said = capsys.readouterr().err
    for fact in ("code", OTHER, "--accept-change code"):
        assert fact in said
    assert len(load(changed).runs) == 1


@pytest.mark.slow
def test_an_accepted_change_is_recorded_and_what_ended_counts(
    changed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(changed).trials
    resume = ["--resume", str(changed), "--workers", "0"]
    assert run(small_sweep(), [*resume, "--trials", "3", "--accept-change", "code"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "run.code" in said
    assert run(small_sweep(), resume) == 0  # accepted once, and nothing has changed since
    after = load(changed)
    assert set(before["trial"]) < set(after.trials["trial"])
    assert len(after.trials) == 3
    assert sorted(after.trials["run.code"] == OTHER) == [False, False, True]
    accepted = [json.loads(text) for text in after.runs["accepted"]]
    assert accepted == [{}, {"code": {"from": before["run.code"][0], "to": OTHER}}, {}]


@pytest.mark.slow
def test_nothing_else_can_be_accepted(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resume = ["--resume", str(changed), "--workers", "0", "--accept-change", "code"]
    assert run(small_sweep(), [*resume, "--steps", "18"]) == 2
    assert "train.steps is 9, here 18" in capsys.readouterr().err
    assert run(small_sweep(), [*resume, "--accept-change", "data"]) == 2
    assert "choose from" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reproducible_run_needs_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(small_sweep(), [*HERE, "--smoke", "--reproducible", "--out", str(tmp_path)]) == 0
    monkeypatch.setattr(environment, "code_hash", lambda: OTHER)
    assert run(small_sweep(), ["--resume", str(tmp_path), "--workers", "0", "--accept-change", "code"]) == 2
    assert "--reproducible" in capsys.readouterr().err


@pytest.mark.engine
def test_a_ledger_of_version_1_is_extended_after_the_override(tmp_path: Path) -> None:
    """Earlier code searched 24 configurations: a twenty-fifth is added, and nothing of the search is repeated."""
    out = tmp_path / "run"
    shutil.copytree(GOLDEN / "version_1" / "loss_weights", out)
    before = load(out)
    if open_data("demo").fingerprint != before.trials["run.data"].iloc[0]:
        # numpy computes powers and logarithms by other instructions where there is AVX-512, and the simulated phone
        # differs in a few pixels: this machine's demo data are other data than those of the recorded run.
        pytest.skip("this kind of CPU packs other demo data than the one that recorded the run")
    resume = ["--resume", str(out), "--workers", "0", "--dtype", str(before.trials["config.train.dtype"][0])]
    assert run(LOSS_WEIGHTS, [*resume, "--trials", "25"]) == 2
    assert len(load(out).runs) == len(before.runs)
    assert run(LOSS_WEIGHTS, [*resume, "--trials", "25", "--accept-change", "code"]) == 0
    after = load(out)
    searched = after.trials[after.trials["stage"] == "search"]
    assert len(searched) == searched["configuration"].nunique() == 25
    assert set(before.trials["trial"]) < set(after.trials["trial"])
    assert set(after.runs["run.code"]) == {before.runs["run.code"][0], environment.code_hash()}
