"""`ray up`, `ray submit cluster.yaml sweeps/fast_arch.py` and `ray down`, to the letter, on hosts that may be lost.

The hosts are namespaces of this machine (hosts.py); SSH, rsync, Ray's launcher and its daemons are the real ones, and
the cluster file is cluster/onprem.yaml with the values at its top set (launched.py says what else is changed).
"""

import time
from pathlib import Path

import pandas as pd
import pytest

from analysis.ledger.load import load
from tests.cluster.launched import BULKY, MIDDLE, SECRETS, Cluster, run_alone, submit, submit_and_wait_for
from tests.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.engine]

CUT_S = 30.0
WORKERS = {"one", "two"}


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> Path:
    """The sweep's ledger as one process writes it, without Ray or a network."""
    out = cluster.shared / "undisturbed"
    run_alone(out)
    return out


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
