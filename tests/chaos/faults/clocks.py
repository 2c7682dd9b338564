"""A wall clock that is an hour fast or slow, or jumps between invocations."""

import random
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from analysis.ledger.load import load
from tests.chaos.drivers import forked, wait_for
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed

HOUR_S = 3600


def shift(seconds: int) -> None:
    """Let this process believe that it is `seconds` later."""

    class Shifted(datetime):
        """Its `now` gives plain datetimes, as the original does."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    original = time.time
    time.time = lambda: original() + seconds
    for name, module in list(sys.modules.items()):
        if name.startswith(("sweeps.", "enhance.", "analysis.")) and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def skewed(seed: int, folder: Path) -> Outcome:
    """Three invocations of one run whose clocks differ by an hour each way, the first two killed."""
    rng, out, before = random.Random(seed), folder / "run", {}
    clocks = rng.sample((-HOUR_S, 0, HOUR_S), 3)
    for clock in clocks[:2]:
        with forked(out, prepare=shift, given=(clock,)) as driver:
            wait_for(driver, out, rng.randint(2, 12))
            driver.kill()
        before |= acknowledged(out)
    with forked(out, "--max-minutes", "60", prepare=shift, given=(clocks[2],)) as driver:
        status = driver.wait()
    wrong = [] if status == 0 else [f"status {status}: {driver.text()[-500:]}"]
    if status == 0 and "--max-minutes" not in str(load(out).runs["command"].iloc[-1]):
        wrong.append(f"with clocks of {clocks} s the newest invocation is not the last one for a reader")
    return compare(undisturbed(), out, before, Outcome(3, wrong="; ".join(wrong)))


FAULTS = [
    Fault(
        "clock skew",
        "three invocations of one run, two of them killed, whose clocks (shifted inside their processes) are an hour "
        "fast, an hour slow, and right, in any order",
        "the same rows, and the last invocation is the newest for every reader",
        skewed,
    ),
]
