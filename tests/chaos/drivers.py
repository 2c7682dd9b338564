"""Drivers of the tiny sweep, in processes of their own that can be killed.

A driver with its worker in its own process is forked from a server that has imported everything, which takes 50 ms
instead of some seconds; from there on it is what the command runs. One with workers on Ray is started as a command.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.tiny import OPTIONS
from tests.patience import PATIENCE_S
from tests.places import ROOT

LOADED = [
    "tests.chaos.tiny",
    "sweeps.engine.workers.worker",
    "sweeps.engine.workers.inline",
    "sweeps.engine.cli.display.summary",
]
DATASETS = ("starts", "samples", "reports", "trials")
"""What shows that a run goes on; a row in `runs` only shows that a driver has begun."""

Prepare = Callable[..., None]

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(LOADED)


class Driver:
    """A driver that runs beside its test. `said` is the file that holds what it prints."""

    def __init__(self, process: "multiprocessing.process.BaseProcess | subprocess.Popen[bytes]", said: Path) -> None:
        self._process, self.said = process, said

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.status is None:
            os.kill(self.pid, number)

    def kill(self) -> bool:
        """End it with SIGKILL; whether it was still running."""
        self.send(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status. Raises AssertionError with what it printed if it does not end."""
        deadline = time.monotonic() + timeout_s
        while (status := self.status) is None:
            assert time.monotonic() < deadline, f"a driver does not end: {self.text()[-2000:]}"
            time.sleep(0.005)
        return status

    def text(self) -> str:
        """What it has printed so far."""
        return self.said.read_text(errors="replace") if self.said.exists() else ""


@contextmanager
def forked(
    out: Path,
    *options: str,
    prepare: Prepare | None = None,
    given: tuple[object, ...] = (),
    base: tuple[str, ...] = OPTIONS,
) -> Iterator[Driver]:
    """A driver that trains in its own process. `prepare(*given)` is called in it before anything else."""
    said = out.with_name(f"{out.name}.log")
    process = _forks.Process(target=_drive, args=(out, (*base, *options), said, prepare, given))
    process.start()
    driver = Driver(process, said)
    try:
        yield driver
    finally:
        driver.kill()
        process.close()


def _drive(out: Path, options: tuple[str, ...], said: Path, prepare: Prepare | None, given: tuple[object, ...]) -> None:
    from sweeps.engine.command import main
    from tests.chaos.tiny import SWEEP

    with said.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    hear_signals()
    if prepare is not None:
        prepare(*given)
    main(SWEEP, argv=["--out", str(out), "--workers", "0", *options])


def hear_signals() -> None:
    """As in a shell's foreground: what runs in the background of a script has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def command(out: Path, *options: str) -> list[str]:
    """The command line of the tiny sweep."""
    return [sys.executable, "-m", "tests.chaos.tiny", "--out", str(out), *OPTIONS, *options]


@contextmanager
def started(out: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Driver]:
    """A driver that is started as a user does it, in an environment like this process's."""
    said = out.with_name(f"{out.name}.log")
    own = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with said.open("ab") as log:
        process = subprocess.Popen(
            command(out, *options), env=own, cwd=ROOT, stdout=log, stderr=log, preexec_fn=hear_signals
        )
    driver = Driver(process, said)
    try:
        yield driver
    finally:
        driver.kill()


def finish(out: Path, *options: str) -> None:
    """Run a forked driver to its end. Raises AssertionError with what it printed if that is not success."""
    with forked(out, *options) as driver:
        assert driver.wait() == 0, driver.text()[-2000:]


def written(out: Path, *datasets: str) -> int:
    """How many files there are in the datasets that show that a run goes on."""
    return sum(
        name.startswith("part-")
        for own in datasets or DATASETS
        if (out / own).is_dir()
        for name in os.listdir(out / own)
    )


def wait_for(driver: Driver, out: Path, files: int, *datasets: str) -> bool:
    """Until there are `files` files of the run; whether the driver still runs then."""
    deadline = time.monotonic() + PATIENCE_S
    while driver.status is None and written(out, *datasets) < files:
        assert time.monotonic() < deadline, f"there is nothing new in {out}: {driver.text()[-2000:]}"
        time.sleep(0.003)
    return driver.status is None
