"""Whole runs that end before everything is done, and runs on a cluster that is there already."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from analysis.ledger.load import load
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.driver import grace_seconds
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.ports import free_ports
from tests.sweeps.engine.cluster.ray_cluster import running_cluster
from tests.sweeps.engine.whole_runs import (
    LONGER,
    SCRIPT,
    SMALL,
    command,
    finish,
    plain,
    wait_for_files,
)

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(("workers", "number"), [("0", signal.SIGINT), ("2", signal.SIGTERM)])
def test_an_interrupted_run_ends_at_the_next_rung_and_says_how_to_go_on(
    tmp_path: Path, environment: dict[str, str], workers: str, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    asked = command(out, *LONGER, "--workers", workers)
    own = {**environment, "TESTSTRIP_GRACE_S": str(PATIENCE_S)}  # the next rung comes before the end of the grace
    hears = partial(signal.signal, number, signal.SIG_DFL)  # a suite in the background of a shell ignores SIGINT
    driver = subprocess.Popen(asked, env=own, stdout=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=hears)
    wait_for_files(driver, out / "reports", 1)
    driver.send_signal(number)
    said, _ = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 130
    assert f"stopped by {number.name}" in said
    assert f"--resume {out}" in said.splitlines()[-1]
    finish(out, environment, *LONGER, "--workers", "0")
    assert len(load(out).trials) == 6


@pytest.mark.parametrize("grace", ["soon", "0", "-1", "inf", "nan", "1e300"])
def test_a_grace_that_is_no_number_of_seconds_is_refused(grace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTSTRIP_GRACE_S", grace)
    with pytest.raises(UsageError, match=f"TESTSTRIP_GRACE_S={grace} must be a number of seconds > 0"):
        grace_seconds()


def test_a_run_whose_time_is_over_can_be_continued(tmp_path: Path, environment: dict[str, str]) -> None:
    out = tmp_path / "run"
    first = finish(out, environment, *LONGER, "--workers", "0", "--max-device-hours", "1e-9")
    assert "stopped because its 1e-09 device hours are spent" in first.stdout
    assert len(list((out / "reports").iterdir())) == 2  # spent with the first, on any machine; its trial came to a rung
    resumed = [sys.executable, str(SCRIPT), "--resume", str(out), "--workers", "0"]  # what it said
    subprocess.run(resumed, env=environment, capture_output=True, timeout=PATIENCE_S, check=True, cwd=ROOT)
    assert len(load(out).trials) == 6


def test_a_reproducible_run_is_the_same_with_one_worker_and_with_two(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """TPE, two objectives, halving, an audit and a confirmation: everything but times is equal, bit for bit."""
    ways = ("--reproducible", "--trials", "10", "--steps", "18", "--audit-share", "0.3")
    ways += ("--confirm", "1", "--confirm-seeds", "2", "--set", "loss.adversarial=0")  # small states, which are kept
    for workers in ("0", "2"):  # 0: one worker, in the driver's process
        finish(tmp_path / workers, environment, *ways, "--workers", workers)
    one, two = load(tmp_path / "0"), load(tmp_path / "2")
    assert len(one.trials) > 10
    assert {"completed", "stopped"} <= set(one.trials["ending"])
    for dataset, keys in {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}.items():
        a, b = (plain(getattr(ledger, dataset), keys) for ledger in (one, two))
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_a_trial_that_hangs_ends_with_its_reason_and_its_process_is_replaced(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A training step that never returns, in one of the trials of the only worker on Ray: others come after it.

    From then on its watchdog looks in haste: the limit is one that no trial reaches because the machine is slow.
    """
    hang = tmp_path / "sitecustomize.py"
    hang.write_text(
        "import os, sys, time, importlib.abc\n"
        "from concurrent.futures import wait\n"
        "class Hang(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'sweeps.engine.workers.worker':\n"
        "            sys.meta_path.remove(self)\n"
        "            import enhance.microrun as m\n"
        "            from sweeps.engine.workers import watchdog\n"
        "            original = m.MicroRun.advance\n"
        "            def advance(run, steps):\n"
        "                if run.seed == 1:\n"
        "                    watchdog.wait = lambda futures, timeout: wait(futures, 0.01)\n"
        "                    time.sleep(1e6)\n"
        "                return original(run, steps)\n"
        "            m.MicroRun.advance = advance\n"
        "sys.meta_path.insert(0, Hang())\n"
    )
    own = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment.get('PYTHONPATH', '')}"}
    out = tmp_path / "run"
    options = ("--trials", "1", "--seeds", "4", "--steps", "9", "--stopping", "none", "--workers", "1")
    finish(out, own, *options, "--timeout", f"{PATIENCE_S:g}")
    trials = load(out).trials.set_index("seed")
    assert trials["ending"].to_dict() == {0: "completed", 1: "failed", 2: "completed", 3: "completed"}
    assert trials.loc[1, "reason"].startswith(f"timeout: no progress for {PATIENCE_S:g} s (step 0)")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, environment: dict[str, str], workers: str) -> None:
    """A folder that takes no file any more, in the middle of the run: no traceback, and the run goes on afterwards."""
    out = tmp_path / "run"
    code = (
        "import errno, os, sys; from sweeps.engine.ledger.writer import Ledger; from sweeps.engine.command import run;"
        "from sweeps.loss_weights import SWEEP; commit = Ledger.commit\n"
        "def full(self, dataset, rows):\n"
        "    if dataset == 'trials' and self._sequence > 6:\n"
        "        raise OSError(errno.ENOSPC, 'No space left on device', 'x')\n"
        "    return commit(self, dataset, rows)\n"
        "Ledger.commit = full; sys.exit(run(SWEEP, sys.argv[1:]))"
    )
    arguments = [sys.executable, "-c", code, "--out", str(out), *SMALL, *LONGER, "--workers", workers]
    full = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT
    )
    assert full.returncode == 1
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    finish(out, environment, *LONGER, "--workers", workers)
    assert len(load(out).trials) == 6


def test_a_cluster_that_runs_already_can_be_joined(tmp_path: Path, environment: dict[str, str]) -> None:
    """`--address`: the rows are those of a run on this machine's own Ray."""
    with running_cluster(environment) as (address, own):
        done = finish(tmp_path / "run", own, "--smoke", "--workers", "2", "--address", address)
        assert f"Ray at {address}" in done.stdout
        assert len(load(tmp_path / "run").trials) == 3
        alone = finish(tmp_path / "alone", own, "--smoke", "--workers", "1")  # nobody has named that cluster
        assert "Ray on this machine, 1 workers" in alone.stdout
        assert len(load(tmp_path / "alone").trials) == 3


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    nowhere = command(tmp_path / "run", "--smoke", "--workers", "2", "--address", address)
    done = subprocess.run(
        nowhere, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert address in done.stderr
    assert "Traceback" not in done.stderr
