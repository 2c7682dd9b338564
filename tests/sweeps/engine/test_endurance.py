"""Tests that take many minutes: a driver killed twenty times, and thousands of trials. Run by `make endurance`."""

import contextlib
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analysis.ledger.load import load
from tests.bench.scaling import SLEEPING
from tests.places import ROOT
from tests.sweeps.engine.whole_runs import command, finish, kill, plain

pytestmark = [pytest.mark.engine, pytest.mark.endurance, pytest.mark.timeout(3600)]

KILLS = 20
WAYS = ("--trials", "44", "--steps", "54", "--audit-share", "0.2", "--confirm", "1", "--confirm-seeds", "2")


def killed_again_and_again(out: Path, environment: dict[str, str], *options: str) -> int:
    """Run the sweep, its driver killed at random moments, until it comes to its end; how often it was killed."""
    rng, kills = random.Random(3), 0
    while kills < KILLS:
        driver = subprocess.Popen(
            command(out, *options, "--workers", rng.choice(("0", "2"))),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        try:
            driver.wait(timeout=rng.uniform(1.0, 8.0))
            break
        except subprocess.TimeoutExpired:
            kill(driver)
            kills += 1
    return kills


def test_a_reproducible_run_survives_twenty_kills_unchanged(tmp_path: Path, environment: dict[str, str]) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, environment, *WAYS, "--reproducible", "--workers", "2")
    kills = killed_again_and_again(killed, environment, *WAYS, "--reproducible")
    finish(killed, environment, *WAYS, "--reproducible", "--workers", "2")
    print(f"killed {kills} times")
    assert kills == KILLS
    a, b = load(whole), load(killed)
    assert b.notes == ()
    for dataset, keys in {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}.items():
        one, other = (plain(getattr(ledger, dataset), keys) for ledger in (a, b))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_any_run_survives_twenty_kills_with_nothing_lost_and_nothing_twice(
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, environment, *WAYS, "--workers", "2")
    kills = killed_again_and_again(killed, environment, *WAYS)
    finish(killed, environment, *WAYS, "--workers", "2")
    print(f"killed {kills} times")
    assert kills == KILLS
    a, b = load(whole), load(killed)
    assert b.notes == ()
    assert b.trials["stage"].value_counts().get("search") == 44
    assert set(b.starts["trial"]) == set(b.trials["trial"])
    both = a.reports.merge(b.reports, on=["trial", "step"])[["trial", "step"]]
    assert len(both) >= 2  # at least the first settings are tried in every run
    one, other = (plain(ledger.reports.merge(both, on=["trial", "step"]), ["trial", "step"]) for ledger in (a, b))
    columns = [name for name in one.columns if name.startswith(("metric.", "loss.", "spread.", "grad"))]
    pd.testing.assert_frame_equal(one[columns], other[columns], check_exact=True)


TRIALS = 2000


def test_a_trial_costs_the_driver_the_same_at_the_end_as_at_the_beginning(
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    """2,000 trials that compute nothing, on Ray with two workers, every row durable: what is left is our own cost."""
    sleeping = tmp_path / "sleeping.json"
    sleeping.write_text(json.dumps({"trial_s": 0, "together": 2}))
    path = f"{SLEEPING}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    own = {**environment, "PYTHONPATH": path, "SLEEPING": str(sleeping)}
    out = tmp_path / "run"
    options = ("--trials", str(TRIALS), "--steps", "9", "--sampler", "random", "--samples", "0", "--workers", "2")
    driver = subprocess.Popen(command(out, *options), env=own, stdout=subprocess.DEVNULL, cwd=ROOT)
    process, memory_kb, cpu_s = psutil.Process(driver.pid), {}, {}
    while driver.poll() is None:
        ended = len(os.listdir(out / "trials")) if (out / "trials").is_dir() else 0
        with contextlib.suppress(psutil.NoSuchProcess):
            memory_kb[ended] = process.memory_info().rss / 1024
            cpu_s.setdefault(ended, sum(process.cpu_times()[:2]))
        time.sleep(0.2)
    assert driver.returncode == 0
    trials = load(out).trials
    assert len(trials) == TRIALS
    assert set(trials["ending"]) <= {"completed", "stopped"}

    def cost_ms(low: int, high: int) -> float:
        """Of the driver's processor, so that it does not matter what else the machine does."""
        begun, ended = min(n for n in cpu_s if n >= low), max(n for n in cpu_s if n <= high)
        return 1000 * (cpu_s[ended] - cpu_s[begun]) / (ended - begun)

    first, last = cost_ms(1, 500), cost_ms(TRIALS - 500, TRIALS)
    low, high = min(n for n in memory_kb if n >= 500), max(n for n in memory_kb if n <= TRIALS - 20)
    growth_kb = (memory_kb[high] - memory_kb[low]) / (high - low)
    print(
        f"{cost_ms(1, TRIALS):.1f} ms of the driver's CPU a trial; first 500: {first:.1f} ms, last 500: {last:.1f} ms"
    )
    print(f"memory of the driver: {growth_kb:.1f} kB a trial between {low} and {high} trials")
    assert last <= 1.2 * first
    assert growth_kb <= 20
