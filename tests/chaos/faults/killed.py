"""Drivers and what belongs to them, killed at random moments with SIGKILL."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.chaos.drivers import Driver, forked, written
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed
from tests.patience import PATIENCE_S

Start = Callable[[], AbstractContextManager[Driver]]


def interrupted(
    seed: int,
    out: Path,
    start: Start,
    longest_s: float,
    kills: int,
    stop: Callable[[Driver], bool] = Driver.kill,
    options: tuple[str, ...] = (),
) -> Outcome:
    """Start the same command again and again, each time stopped after a random time, and let it end at last.

    `stop` ends a driver and says whether it was still running; `options` are those that `start` gives. What was
    written before a stop must be there at the end.
    """
    rng, before, struck = random.Random(seed), {}, 0
    clock = Recovery(out)
    for _ in range(kills):
        with start() as driver:
            clock.watch(driver, rng.uniform(0, longest_s))
            struck += stop(driver)
        clock.stopped()
        before |= acknowledged(out)
    with start() as driver:
        clock.watch(driver, PATIENCE_S)
        status = driver.wait()
    wrong = "" if status == 0 else f"the last driver ended with status {status}: {driver.text()[-500:]}"
    return compare(undisturbed(*options), out, before, Outcome(struck, recovery_s=clock.longest_s, wrong=wrong))


class Recovery:
    """Measures the time from a stop until something new is written, however many drivers that takes."""

    def __init__(self, out: Path) -> None:
        self._out, self._since, self._files = out, None, 0
        self.longest_s: float | None = None

    def stopped(self) -> None:
        """The run stands still from now on."""
        if self._since is None:
            self._since, self._files = time.monotonic(), written(self._out)

    def watch(self, driver: Driver, seconds: float) -> None:
        """Look on for so long, or until the driver ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and driver.status is None:
            if self._since is not None and written(self._out) > self._files:
                self.longest_s = max(self.longest_s or 0.0, time.monotonic() - self._since)
                self._since = None
            time.sleep(0.003)


def driver_in_process(seed: int, folder: Path) -> Outcome:
    """Three drivers that train in their own process, killed within the time that a whole run takes."""
    out = folder / "run"
    return interrupted(seed, out, lambda: forked(out), longest_s=2.0, kills=3)


FAULTS = [
    Fault(
        "driver killed",
        "SIGKILL to a driver that trains in its own process, at a random moment; then the same command",
        "the same rows as without the kill",
        driver_in_process,
    ),
]
