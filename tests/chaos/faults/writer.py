"""The ledger's writer, killed at each step of a commit."""

import itertools
import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.ledger import durable
from sweeps.engine.ledger import writer
from sweeps.engine.ledger.writer import Ledger
from tests.chaos.drivers import forked
from tests.chaos.faults.killed import Recovery
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed
from tests.patience import PATIENCE_S


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _halve(_: object, temporary: Path) -> None:
    os.truncate(temporary, temporary.stat().st_size // 2)
    _die()


def _after(owner: Any, name: str, then: Callable[..., None], folder: bool | None = None) -> None:
    """Call `then` as soon as `owner.name` has returned; with `folder`, only if its first argument is one, or is not."""
    original = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        done = original(*arguments, **options)
        if folder in (None, Path(arguments[0]).is_dir() if folder is not None else None):
            then(*arguments)
        return done

    setattr(owner, name, call)


POINTS: dict[str, Callable[[], None]] = {
    "before anything is written": _die,
    "half of the file is written": lambda: _after(writer.pq, "write_table", _halve),
    "the file is written": lambda: _after(writer.pq, "write_table", _die),
    "the file is read back": lambda: _after(writer, "_check_reads_back", _die),
    "the file is synced": lambda: _after(durable, "sync", _die, folder=False),
    "the file has its name": lambda: _after(durable.os, "link", _die),
    "the temporary name is gone": lambda: _after(Path, "unlink", _die),
    "the folder is synced": lambda: _after(durable, "sync", _die, folder=True),
    "before the driver is told": lambda: _after(writer, "commit_file", _die),
}


def die_at(point: str, commit: int, dataset: str = "") -> None:
    """Have this process killed at a point of its `commit`-th commit, or of that to one dataset."""
    original, made = Ledger.commit, itertools.count(1)

    def counted(self: Ledger, name: str, rows: Sequence[writer.Row]) -> object:
        if dataset in ("", name) and next(made) == commit:
            POINTS[point]()
        return original(self, name, rows)

    Ledger.commit = counted  # type: ignore[method-assign,assignment]


def every_failpoint(seed: int, folder: Path) -> Outcome:
    """One run that is killed at every point in turn, each time in one of the next commits."""
    rng, out, before, struck = random.Random(seed), folder / "run", {}, 0
    clock = Recovery(out)
    where = [*((number, "") for number in range(2, 7)), *((1, name) for name in ("samples", "reports", "trials"))]
    for point in rng.sample(list(POINTS), len(POINTS)):
        with forked(out, prepare=die_at, given=(point, *rng.choice(where))) as driver:
            clock.watch(driver, PATIENCE_S)
            struck += driver.wait() == -signal.SIGKILL
        clock.stopped()
        before |= acknowledged(out)
    with forked(out) as driver:
        clock.watch(driver, PATIENCE_S)
        status = driver.wait()
    wrong = "" if status == 0 else f"status {status}: {driver.text()[-500:]}"
    return compare(undisturbed(), out, before, Outcome(struck, recovery_s=clock.longest_s, wrong=wrong))


FAULTS = [
    Fault(
        "killed within a commit",
        f"SIGKILL at each of {len(POINTS)} points of a commit: {', '.join(POINTS)}; then the same command",
        "the same rows as without the kills",
        every_failpoint,
    ),
]
