"""Runs on a cluster of several nodes: what is wrong on one is refused before the first trial; nodes come and go.

All nodes are on this machine; `strange_nodes.py` says how they differ.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from analysis.ledger.load import load
from tests.patience import PATIENCE_S, wait_until
from tests.places import ROOT
from tests.sweeps.engine.cluster.cluster_host import Cluster, running_nodes
from tests.sweeps.engine.cluster.spot_service import announce_and_take_away
from tests.sweeps.engine.cluster.strange_nodes import cannot_hide, hiding, other_code
from tests.sweeps.engine.whole_runs import SCRIPT, SMALL, command, numbers

pytestmark = pytest.mark.engine


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[Cluster]:
    """A head without slots, as a cloud's is."""
    with running_nodes(environment) as cluster:
        cluster.add(0)
        yield cluster


def sweep(cluster: Cluster, out: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *SMALL, "--address", cluster.address, "--out", str(out), *arguments]


def finish(cluster: Cluster, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    own = {**cluster.environment, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=own, timeout=PATIENCE_S, check=False, cwd=ROOT)


def test_what_is_wrong_on_any_node_is_refused_before_the_first_trial(cluster: Cluster, tmp_path: Path) -> None:
    if reason := cannot_hide():
        pytest.skip(reason)
    out = tmp_path / "runs" / "run"
    out.parent.mkdir()
    data = Path(cluster.environment["TESTSTRIP_CACHE"])
    own = tmp_path / "own"
    nodes = {
        "good": cluster.add(1, **hiding(tmp_path / "good", data), TESTSTRIP_CACHE=str(own)),  # it can be sent the data
        "code": cluster.add(1, **other_code(tmp_path / "code")),
        "storage": cluster.add(1, **hiding(tmp_path / "storage", out.parent)),
        "data": cluster.add(1, **hiding(tmp_path / "data", data), TESTSTRIP_CACHE="/dev/null"),
    }
    refused = finish(cluster, sweep(cluster, out, "--smoke"))
    assert refused.returncode == 2, refused.stdout + refused.stderr
    said = {name: [line for line in refused.stderr.splitlines() if node[:8] in line] for name, node in nodes.items()}
    assert said["good"] == []
    sent, packed = next(own.glob("*.patches")), next(data.glob("*.patches"))
    assert sent.read_bytes() == packed.read_bytes()
    assert [len(said[name]) for name in ("code", "storage", "data")] == [1, 1, 1]
    assert "it runs other code" in said["code"][0]
    assert f"{out} is not the same folder there" in said["storage"][0]
    assert "Give an --out (or TESTSTRIP_RUNS)" in said["storage"][0]
    assert "it lacks the data" in said["data"][0]
    assert "set TESTSTRIP_CACHE" in said["data"][0]
    assert "Traceback" not in refused.stderr
    assert list(out.parent.iterdir()) == []

    wrong = finish(cluster, sweep(cluster, out, "--smoke"), RAY_AUTH_TOKEN="wrong")
    assert wrong.returncode == 2
    assert "refuses the token of this machine (RAY_AUTH_TOKEN)" in wrong.stderr
    assert "Traceback" not in wrong.stderr


COUNTING_EVERY_LOSS = (
    "import sys; import sweeps.engine.workers.ray_tune as tuning; tuning.LOST_WORKER_RETRIES = 0;"
    "from sweeps.engine.command import run; from sweeps.loss_weights import SWEEP; sys.exit(run(SWEEP, sys.argv[1:]))"
)


@pytest.mark.cluster
def test_nodes_come_and_go_and_one_that_is_taken_away_costs_no_trial(cluster: Cluster, tmp_path: Path) -> None:
    """A trial that lost its worker but once would have failed; the one on the drained node goes on elsewhere."""
    out = tmp_path / "run"
    first = cluster.add(1)
    options = ["--trials", "4", "--steps", "360", "--stopping", "none", "--set", "net.channels=8"]
    with Driver([sys.executable, "-c", COUNTING_EVERY_LOSS, *sweep(cluster, out, *options)[2:]], cluster) as driver:
        driver.wait_until(lambda: any((out / "reports").glob("part-*")))
        bad = cluster.add(1, **other_code(tmp_path / "code"))
        driver.wait_until(lambda: "is given no trials: it runs other code" in driver.said())
        assert bad[:8] in next(line for line in driver.said().splitlines() if "is given no trials" in line)
        cluster.add(1)
        announce_and_take_away(cluster, first)
        driver.finish()
    assert "has joined the cluster" in driver.said()
    assert "has left the cluster; its trials start again elsewhere" in driver.said()
    assert load(out).trials["ending"].tolist() == ["completed"] * 4


@pytest.mark.cluster
def test_a_node_that_is_lost_and_not_replaced_changes_no_row(cluster: Cluster, tmp_path: Path) -> None:
    """Its trial waits for a place that only a worker can give up that waits for this trial."""
    out, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    options = ["--reproducible", "--trials", "4", "--steps", "90", "--set", "net.channels=8"]
    cluster.add(1)
    lost = cluster.add(1)
    with Driver(sweep(cluster, out, *options, "--workers", "2"), cluster) as driver:
        driver.wait_until(lambda: any((out / "reports").glob("part-*")))
        cluster.kill(lost)
        driver.finish()
    finish(cluster, command(undisturbed, *options, "--workers", "0"))
    here, there = load(out), load(undisturbed)
    for dataset in ("starts", "reports", "trials"):
        one, other = numbers(getattr(here, dataset)), numbers(getattr(there, dataset))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


class Driver:
    """A sweep that runs beside the test, and what it has said so far."""

    def __init__(self, arguments: list[str], cluster: Cluster) -> None:
        self._log = Path(arguments[arguments.index("--out") + 1]).with_suffix(".log")
        with self._log.open("w") as file:
            self._process = subprocess.Popen(
                arguments, env=cluster.environment, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT
            )

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)

    def said(self) -> str:
        return self._log.read_text()

    def wait_until(self, true: Callable[[], bool]) -> None:
        wait_until(lambda: self._process.poll() is not None or true(), self.said)
        assert self._process.poll() is None, self.said()

    def finish(self) -> None:
        try:
            assert self._process.wait(timeout=PATIENCE_S) == 0, self.said()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.said()}") from None
