"""`ray up`, `ray submit cluster.yaml sweeps/fast_arch.py` and `ray down`, to the letter, on hosts that may be lost.

The hosts are namespaces of this machine (hosts.py); SSH, rsync, Ray's launcher and its daemons are the real ones, and
the cluster file is cluster/onprem.yaml with the values at its top set (conftest.py says what else is changed).
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from analysis.ledger.load import load
from tests.cluster.conftest import BULKY, SECRETS, Cluster, typed
from tests.patience import PATIENCE_S, wait_until
from tests.places import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.engine]

SWEEP = ["--reproducible", "--trials", "9", "--steps", "180", "--set", "net.channels=4", "--set", "train.val_images=6"]
SWEEP += ["--set", "train.crop_px=32", "--confirm", "1", "--confirm-seeds", "2", "--audit-share", "0.2"]
# Of 18 reports: each worker is at one of the last two trials of the second rung, and will wait for the other.
MIDDLE = 12
CUT_S = 30.0
WORKERS = {"one", "two"}


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> Path:
    """The sweep's ledger as one process writes it, without Ray or a network."""
    out = cluster.shared / "undisturbed"
    script = [sys.executable, "sweeps/optimizers.py", *SWEEP, "--workers", "0", "--out", str(out)]
    environment = {"TESTSTRIP_CACHE": str(cluster.shared / "cache"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        script, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def submit(out: Path) -> str:
    """The command that submits the sweep from the laptop."""
    return typed(f"ray submit cluster.yaml sweeps/optimizers.py -- {' '.join(SWEEP)} --out {out}")


@dataclass
class Submitted:
    """A sweep that was submitted from the laptop, and the file with what the laptop's terminal shows."""

    process: subprocess.Popen[str]
    shown: Path

    def finish(self) -> None:
        """Wait for the end of the sweep, which must succeed."""
        try:
            assert self.process.wait(timeout=PATIENCE_S) == 0, self.shown.read_text()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the sweep does not end\n{self.shown.read_text()[-5000:]}") from None


def submit_and_wait_for(cluster: Cluster, out: Path, reports: int) -> Submitted:
    """Submit the sweep, and return once the ledger has `reports` reports."""
    shown = out.with_suffix(".log")  # a pipe that nobody reads would stop the sweep when it is full
    with shown.open("w") as file:
        process = cluster.laptop.start(submit(out), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)

    def reported() -> bool:
        return len(list((out / "reports").glob("part-*.parquet"))) >= reports

    wait_until(lambda: process.poll() is not None or reported(), lambda: "there are too few reports")
    assert process.poll() is None, shown.read_text()
    return Submitted(process, shown)


def same_ledgers(one: Path, other: Path) -> None:
    """Check that all rows are equal but for times and places, and that no file was damaged on the way."""
    a, b = load(one), load(other)
    assert (a.notes, b.notes) == ((), ())
    for dataset, keys in {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}.items():
        here, there = (plain(getattr(ledger, dataset), keys) for ledger in (a, b))
        pd.testing.assert_frame_equal(here, there, check_exact=True)


def plain(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A table in the order of its keys, without the columns that hold times and places."""
    varying = ("train_s", "eval_s", "started")
    kept = [name for name in frame.columns if not name.startswith(("time.", "run.")) and name not in varying]
    return frame[kept].sort_values(keys).reset_index(drop=True)


def test_a_script_is_submitted_as_the_readme_says(cluster: Cluster) -> None:
    printed = cluster.type("ray submit cluster.yaml sweeps/fast_arch.py -- --smoke")
    (out,) = (cluster.shared / "runs").glob("fast_arch-*")  # TESTSTRIP_RUNS: no folder was named
    assert f"ledger: {out}" in printed
    ledger = load(out)
    assert set(ledger.trials["ending"]) <= {"completed", "stopped"}
    assert len(ledger.trials) == 4  # three and a confirmation
    assert set(ledger.trials["run.host"]) <= WORKERS  # the head steers and does not train


def test_nothing_secret_and_nothing_bulky_is_shipped(cluster: Cluster) -> None:
    for name in ("head", "one", "two"):
        shipped = cluster.hosts[name].run("cd ~/teststrip; find . -not -path './.venv/*' -type f").splitlines()
        assert "./sweeps/fast_arch.py" in shipped
        assert [path for path in (*SECRETS, *BULKY) if f"./{path}" in shipped and path != ".venv/bin/python"] == []
        assert cluster.hosts[name].run("stat -c %a ~/.ray/auth_token").strip() == "600"


def test_a_script_that_is_newer_than_the_project_on_the_head_is_refused_until_that_is_renewed(cluster: Cluster) -> None:
    again = "ray submit cluster.yaml sweeps/fast_arch.py -- --smoke --dry-run"
    refused = cluster.type(f"echo '# edited' >> sweeps/fast_arch.py; if {again}; then echo started; fi")
    assert "started" not in refused
    assert "ray rsync-up cluster.yaml" in refused
    assert "dry run" in cluster.type(f"ray rsync-up cluster.yaml > /dev/null; {again}")


def test_a_cluster_does_what_one_process_does_on_its_workers(cluster: Cluster, undisturbed: Path) -> None:
    out = cluster.shared / "cluster"
    cluster.laptop.run(submit(out))
    same_ledgers(undisturbed, out)
    # Never the head. On a busy machine one worker may have done it all before the other was up.
    assert set(load(out).trials["run.host"]) <= WORKERS


def test_a_cable_that_is_out_for_half_a_minute_changes_no_row(cluster: Cluster, undisturbed: Path) -> None:
    out = cluster.shared / "cut"
    submitted = submit_and_wait_for(cluster, out, MIDDLE)
    cluster.hosts.cut("two")
    time.sleep(CUT_S)
    cluster.hosts.mend("two")
    submitted.finish()
    same_ledgers(undisturbed, out)


def test_a_host_that_loses_power_changes_no_row(cluster: Cluster, undisturbed: Path) -> None:
    out = cluster.shared / "power"
    submitted = submit_and_wait_for(cluster, out, MIDDLE)
    cluster.hosts["two"].fail()
    submitted.finish()
    same_ledgers(undisturbed, out)
    assert "one" in set(load(out).trials["run.host"])


def test_ray_down_leaves_nothing_running(cluster: Cluster) -> None:
    cluster.type("ray down -y cluster.yaml")
    for name in ("head", "one"):
        host = cluster.hosts[name]
        wait_until(lambda host=host: "raylet" not in host.run("ps -e -o comm"), lambda name=name: f"Ray runs on {name}")
