"""Signals that ask a driver to end: it closes the run, says how to go on, and the same command does."""

import random
import signal
import time
from pathlib import Path

from tests.chaos.drivers import Driver, forked, wait_for
from tests.chaos.faults.killed import Recovery
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed
from tests.patience import PATIENCE_S

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 25.0
"""What the driver promises; the bounded time of an exit is this and a second signal's."""


def asked_to_end(seed: int, folder: Path) -> Outcome:
    """One driver hears one signal, another one two; both at random moments after their first row."""
    rng, out, before, struck, wrong = random.Random(seed), folder / "run", {}, 0, []
    clock = Recovery(out)
    for times in rng.sample((1, 2), 2):
        number = rng.choice(SIGNALS)
        with forked(out) as driver:
            clock.watch(driver, 0.0)
            wait_for(driver, out, 1, "runs")
            clock.watch(driver, rng.uniform(0.0, 1.0))
            struck += driver.status is None
            wrong += _end(driver, number, times, rng)
        clock.stopped()
        before |= acknowledged(out)
    with forked(out) as driver:
        clock.watch(driver, PATIENCE_S)
        wrong += [] if driver.wait() == 0 else [f"status {driver.status}: {driver.text()[-300:]}"]
    return compare(undisturbed(), out, before, Outcome(struck, recovery_s=clock.longest_s, wrong="; ".join(wrong)))


def _end(driver: Driver, number: signal.Signals, times: int, rng: random.Random) -> list[str]:
    """Send the signal; what is wrong with how the driver ends."""
    since = time.monotonic()
    for _ in range(times):
        driver.send(number)
        time.sleep(rng.uniform(0, 0.05))
    status, took_s = driver.wait(), time.monotonic() - since
    said = driver.text()
    wrong = [] if status in (0, 130) else [f"{number.name} x {times}: status {status}"]
    wrong += ["a traceback is shown"] if "Traceback" in said else []
    if status == 130 and "to continue" not in said.splitlines()[-1] and "interrupted" not in said.splitlines()[-1]:
        wrong.append(f"{number.name} x {times}: the last line is {said.splitlines()[-1]!r}")
    return wrong + ([f"it took {took_s:.1f} s to end"] if took_s > GRACE_S + 5 else [])


FAULTS = [
    Fault(
        "asked to end",
        "SIGINT, SIGTERM or SIGHUP, once and twice, at random moments after the run has begun; then the same command",
        "status 130 within the grace, no traceback, and the same rows as without the signals",
        asked_to_end,
    ),
]
