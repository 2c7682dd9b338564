"""`ray up`, `ray submit cluster.yaml sweeps/fast_arch.py` and `ray down`, literally, on several hosts.

The hosts are namespaces of this machine (hosts.py); SSH, rsync, Ray's launcher and its daemons are the real ones, and
the cluster file is cluster/onprem.yaml with its first values changed (conftest.py says what else).
"""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from analysis.load import load
from tests.cluster.conftest import BULKY, ROOT, SECRETS, Cluster, typed

pytestmark = [pytest.mark.cluster, pytest.mark.engine]

SWEEP = ["--reproducible", "--trials", "9", "--steps", "180", "--set", "net.channels=4", "--set", "train.val_images=6"]
SWEEP += ["--set", "train.crop_px=32", "--confirm", "1", "--confirm-seeds", "2", "--audit-share", "0.2"]
WORKERS = {"one", "two"}


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> Path:
    """The sweep's ledger as one process writes it, without Ray or a network."""
    out = cluster.shared / "undisturbed"
    script = [sys.executable, "sweeps/optimizers.py", *SWEEP, "--workers", "0", "--out", str(out)]
    environment = {"TESTSTRIP_CACHE": str(cluster.shared / "cache"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def submit(out: Path) -> str:
    return typed(f"ray submit cluster.yaml sweeps/optimizers.py -- {' '.join(SWEEP)} --out {out}")


def same_ledgers(one: Path, other: Path) -> None:
    """Every row is the same but for times and places, and no file was damaged on the way."""
    a, b = load(one), load(other)
    assert (a.notes, b.notes) == ((), ())
    for dataset, keys in {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}.items():
        here, there = (plain(getattr(ledger, dataset), keys) for ledger in (a, b))
        pd.testing.assert_frame_equal(here, there, check_exact=True)


def plain(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
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


def test_a_cluster_does_what_one_process_does_on_every_worker(cluster: Cluster, undisturbed: Path) -> None:
    out = cluster.shared / "cluster"
    cluster.laptop.run(submit(out), 240)
    same_ledgers(undisturbed, out)
    assert set(load(out).trials["run.host"]) == WORKERS


def test_ray_down_leaves_nothing_running(cluster: Cluster) -> None:
    cluster.type("ray down -y cluster.yaml")
    deadline = time.monotonic() + 90
    for name in ("head", "one", "two"):
        while "raylet" in cluster.hosts[name].run("ps -e -o comm"):
            assert time.monotonic() < deadline, f"Ray still runs on {name}"
            time.sleep(0.5)
