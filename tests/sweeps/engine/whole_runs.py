"""Small whole runs of a shipped sweep, as a user starts them, complete or interrupted by a test."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from tests.patience import PATIENCE_S, wait_until
from tests.places import ROOT

SCRIPT = ROOT / "sweeps" / "loss_weights.py"
SMALL = ["--set", "net.channels=4", "--set", "train.val_images=6", "--set", "loss.content_layer=relu1_2"]
SMALL += ["--set", "train.batch_size=2", "--confirm", "0", "--audit-share", "0"]
LONGER = ("--trials", "6", "--steps", "90")


VARYING = ("train_s", "eval_s", "number", "started")


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(SCRIPT), "--out", str(out), *SMALL, *arguments]


def finish(out: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(out, *arguments),
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE_S,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """What must be bit-equal wherever a trial runs: everything but times and the invocation."""
    kept = [name for name in frame.columns if not name.startswith(("time.", "run.")) and name not in VARYING]
    return frame[kept].sort_values(kept[:2]).reset_index(drop=True)


def start_and_wait_for(
    out: Path, environment: dict[str, str], ready: str, count: int, *arguments: str
) -> subprocess.Popen[bytes]:
    """Start the sweep and return when `count` files are in the dataset `ready`."""
    driver = subprocess.Popen(
        command(out, *arguments), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    wait_for_files(driver, out / ready, count)
    return driver


def wait_for_files(driver: subprocess.Popen[Any], dataset: Path, count: int) -> None:
    """Until `count` files are in a dataset of the sweep's ledger."""
    wait_until(
        lambda: driver.poll() is not None or len(list(dataset.glob("part-*.parquet"))) >= count,
        lambda: f"there is not enough in {dataset}",
    )
    assert driver.poll() is None, "the sweep ended before it could be disturbed"


def kill(driver: subprocess.Popen[bytes]) -> None:
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=PATIENCE_S)


def plain(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Everything but times and what names the invocation."""
    times = ("train_s", "eval_s", "started", "run.run")
    kept = [name for name in frame.columns if not name.startswith("time.") and name not in times]
    return frame[kept].sort_values(keys, ignore_index=True)
