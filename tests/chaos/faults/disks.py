"""Disks that take no more: full, or read-only from one moment to the next."""

import contextlib
import functools
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from analysis.ledger.schema import DATASETS
from tests.chaos.drivers import Driver, forked, wait_for, written
from tests.chaos.faults.killed import Recovery
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed
from tests.patience import PATIENCE_S

ROOM_KIB = 64 << 10


def mount(*words: str) -> None:
    """Mount something. Raises OSError with what the system says."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"mount {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def disk(place: Path, kib: int) -> Iterator[None]:
    """A disk of so many KiB at `place`."""
    place.mkdir()
    mount("-t", "tmpfs", "-o", f"size={kib}k", "none", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@functools.cache
def lacking() -> str:
    """Why nothing can be mounted here."""
    if os.geteuid():
        return "mounting a small disk needs root"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        try:
            stack.enter_context(disk(Path(folder) / "disk", 64))
        except OSError as error:
            return str(error)
    return ""


def full(seed: int, folder: Path) -> Outcome:
    """A disk that is full at some point of the run, and is then given more room."""
    rng, out = random.Random(seed), folder / "run"
    with disk(out, rng.randint(150, 1500)):
        clock = Recovery(out)
        with forked(out) as driver:
            wrong = _refusal(driver, "No space left on device")
        clock.stopped()
        before = acknowledged(out)
        mount("-o", f"remount,size={ROOM_KIB}k", str(out))
        return _go_on(out, clock, before, wrong)


def read_only(seed: int, folder: Path) -> Outcome:
    """The folders of a ledger become read-only at some point of the run, and writable again."""
    rng, out = random.Random(seed), folder / "run"
    with disk(out, ROOM_KIB):
        clock = Recovery(out)
        with forked(out) as driver:
            wait_for(driver, out, rng.randint(1, 40))
            for name in DATASETS:
                mount("--bind", str(out / name), str(out / name))
                mount("-o", "remount,bind,ro", str(out / name))
            wrong = _refusal(driver, "Read-only file system")
        clock.stopped()
        before = acknowledged(out)
        for name in DATASETS:
            subprocess.run(["umount", str(out / name)], check=True)
        return _go_on(out, clock, before, wrong)


def _refusal(driver: Driver, why: str) -> list[str]:
    """What is wrong with how a driver ends whose disk refuses."""
    status, said = driver.wait(), driver.text()
    if status == 0:
        return []  # it had written everything before
    wrong = [] if status == 1 and why in said else [f"status {status}: {said[-500:]}"]
    return wrong + (["a traceback is shown"] if "Traceback" in said else [])


def _go_on(out: Path, clock: Recovery, before: dict[str, str], wrong: list[str]) -> Outcome:
    with forked(out) as driver:
        clock.watch(driver, PATIENCE_S)
        wrong = wrong + ([] if driver.wait() == 0 else [f"status {driver.status}: {driver.text()[-500:]}"])
    struck = int(written(out) > len([name for name in before if name.split("/")[0] in ("starts", "reports", "trials")]))
    return compare(undisturbed(), out, before, Outcome(struck, recovery_s=clock.longest_s, wrong="; ".join(wrong)))


FAULTS = [
    Fault(
        "disk full",
        "the disk of the ledger (a tmpfs of 150 to 1,500 KiB) is full at some point, and is given more room; then the "
        "same command",
        "status 1 with a sentence, what was written stays, and at last the same rows as with room from the beginning",
        full,
        lacking=lacking,
    ),
    Fault(
        "disk read-only",
        "the ledger's folders become read-only at a random moment, and writable again; then the same command",
        "status 1 with a sentence, what was written stays, and at last the same rows as without",
        read_only,
        lacking=lacking,
    ),
]
