"""Whole runs as a user starts them: in this process, on Ray, killed and resumed."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analysis.ledger.load import load
from enhance.weights.files import MODEL
from sweeps.engine.ledger.writer import Ledger
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.whole_runs import (
    LONGER,
    SCRIPT,
    command,
    finish,
    kill,
    numbers,
    plain,
    start_and_wait_for,
)

pytestmark = pytest.mark.engine


def test_a_smoke_run_shows_its_table_its_ledger_and_the_next_command(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = finish(tmp_path / "run", environment, "--smoke", "--workers", "0")
    for part in (
        "front",
        "PSNR (dB)",
        "MS-SSIM",
        "3 trials ended",
        "ledger:",
        f" frontier {tmp_path}",
    ):
        assert part in done.stdout
    next_command = [sys.executable, "-m", "analysis", "frontier", str(tmp_path / "run")]
    subprocess.run(next_command, check=True, capture_output=True, timeout=PATIENCE_S, cwd=ROOT)
    assert (tmp_path / "run" / "analysis" / "frontier.png").stat().st_size > 10_000


def test_ray_gives_the_same_rows_as_this_process(tmp_path: Path, environment: dict[str, str]) -> None:
    """Rungs off: which trials are stopped depends on the order of arrival; what a trial computes does not."""
    names = ("here", "ray")
    for name, workers in zip(names, ("0", "2"), strict=True):
        ways = ("--trials", "1", "--seeds", "3", "--steps", "18", "--stopping", "none", "--keep-weights")
        finish(tmp_path / name, environment, *ways, "--workers", workers)
    here, ray = load(tmp_path / "here"), load(tmp_path / "ray")
    assert set(here.trials["trial"]) == set(ray.trials["trial"])
    a, b = here.reports, ray.reports
    both = a.merge(b, on=["trial", "step"])[["trial", "step"]]
    assert len(both) >= 3
    a, b = (numbers(table.merge(both, on=["trial", "step"])) for table in (a, b))
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    for dataset, keys in {"samples": ["trial", "image"], "originals": ["image"]}.items():
        a, b = (plain(pd.read_parquet(tmp_path / name / dataset), keys) for name in ("here", "ray"))
        assert len(a)
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    kept = [{path.name: (path / MODEL).read_bytes() for path in (tmp_path / n / "weights").iterdir()} for n in names]
    assert kept[0] == kept[1]
    assert set(kept[0]) == set(here.trials["trial"])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_driver_is_continued_by_the_same_command(
    tmp_path: Path, environment: dict[str, str], workers: str
) -> None:
    out = tmp_path / "run"
    driver = start_and_wait_for(out, environment, "trials", 2, *LONGER, "--workers", workers)
    children = [p for p in psutil.Process(driver.pid).children(recursive=True) if "WarmWorker" in p.name()]
    kill(driver)
    before = {path.name: path.read_bytes() for path in (out / "trials").glob("part-*.parquet")}
    assert 0 < len(before) < 6
    finish(out, environment, *LONGER, "--workers", workers)
    ledger = load(out)
    assert ledger.notes == ()
    assert len(ledger.trials) == ledger.trials["configuration"].nunique() == 6
    assert set(ledger.trials["ending"]) <= {"completed", "stopped"}
    assert {name: (out / "trials" / name).read_bytes() for name in before} == before
    assert set(ledger.starts["trial"]) == set(ledger.trials["trial"])
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []  # nothing goes on computing for a driver that is gone


def test_resume_needs_no_other_option_and_refuses_another_question(tmp_path: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "run"
    finish(out, environment, "--smoke", "--workers", "0")
    resumed = [sys.executable, str(SCRIPT), "--resume", str(out), "--workers", "0"]
    again = subprocess.run(
        resumed, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT
    )
    assert again.returncode == 0, again.stderr
    assert len(load(out).trials) == 3
    other = subprocess.run(
        [*resumed, "--set", "net.channels=8"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert other.returncode == 2
    assert "net.channels is 4, here 8" in other.stderr


def test_a_second_driver_on_the_same_folder_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    asked = command(tmp_path / "run", "--smoke", "--workers", "0")
    with Ledger(tmp_path / "run"):
        second = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 2
    assert f"another driver is writing to {tmp_path / 'run'} (process {os.getpid()}" in second.stderr


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "run"
    driver = start_and_wait_for(out, environment, "reports", 1, *LONGER, "--workers", "2")
    workers = [p for p in psutil.Process(driver.pid).children(recursive=True) if "WarmWorker" in p.name()]
    assert workers
    workers[0].kill()
    assert driver.wait(timeout=PATIENCE_S) == 0
    ledger = load(out)
    assert len(ledger.trials) == 6
    assert set(ledger.trials["ending"]) <= {"completed", "stopped"}
    undisturbed = tmp_path / "undisturbed"
    finish(undisturbed, environment, *LONGER, "--workers", "0")
    both = ledger.reports.merge(load(undisturbed).reports, on=["trial", "step"], suffixes=("", "_b"))
    assert len(both)
    assert (both["metric.psnr_db"] == both["metric.psnr_db_b"]).all()


def test_every_kind_of_trouble_is_an_ending(tmp_path: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "run"
    finish(out, environment, "--trials", "2", "--steps", "90", "--workers", "0", "--set", "optimizer.lr=1e30")
    trials = load(out).trials
    assert set(trials["ending"]) == {"diverged"}
    assert trials["reason"].str.contains("nan by step").all()
