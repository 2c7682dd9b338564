"""A whole sweep writes into S3, and is killed and resumed as a user would do it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.ledger.files import table_files
from analysis.ledger.load import load
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.stores.conftest import BUCKET, READER, Server

SCRIPT = str(ROOT / "sweeps" / "loss_weights.py")
SMALL = ["--smoke", "--set", "net.channels=4", "--set", "train.val_images=6", "--confirm", "0"]

pytestmark = pytest.mark.engine


@pytest.fixture
def environment(s3: Server, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TESTSTRIP_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}


def finish(environment: dict[str, str], *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, which must have exit status `status`."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=False, cwd=ROOT
    )
    assert done.returncode == status, done.stderr + done.stdout
    return done


def test_a_killed_sweep_is_resumed_from_the_store_on_ray(s3: Server, environment: dict[str, str]) -> None:
    run = s3.fresh()
    driver = subprocess.Popen(
        [sys.executable, SCRIPT, *SMALL, "--trials", "4", "--workers", "0", "--out", str(run)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not table_files(run, "trials"):
        assert driver.poll() is None, "the sweep ended before it could be killed"
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=PATIENCE_S)
    tables = ("runs", "starts", "reports", "trials")
    before = {path: path.read().to_pybytes() for name in tables for path in table_files(run, name)}
    assert len(table_files(run, "trials")) < 4
    said = finish(environment, SCRIPT, "--resume", str(run), "--workers", "2").stdout
    assert f" frontier {run}\n" in said
    assert {path: path.read().to_pybytes() for path in before} == before
    ledger = load(run)
    assert ledger.notes == ()
    assert len(ledger.trials) == 4
    assert set(ledger.trials["trial"]) == set(ledger.starts["trial"])
    assert table_files(run, "_drivers") == []
    finish(environment, "-m", "analysis", "frontier", str(run))
    assert (run / "analysis" / "frontier.png").read().size > 10_000


@pytest.mark.parametrize(
    ("address", "who", "words"),
    [
        ("s3://no-such-bucket/run", None, "there is no bucket no-such-bucket"),
        (f"s3://{BUCKET}/refused", READER, "access is refused"),
    ],
)
def test_a_ledger_that_cannot_be_written_is_refused_before_anything_is_computed(
    address: str, who: tuple[str, str] | None, words: str, environment: dict[str, str], tmp_path: Path
) -> None:
    if who is not None:
        environment |= {"AWS_ACCESS_KEY_ID": who[0], "AWS_SECRET_ACCESS_KEY": who[1]}
    said = finish(environment, SCRIPT, *SMALL, "--workers", "0", "--out", address, status=2).stderr
    assert said.startswith("loss_weights: the ledger cannot be written; ")
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "cache").exists()
