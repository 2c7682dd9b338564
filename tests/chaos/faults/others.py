"""What is there and should not be: code of another day, and files that would run what they hold."""

import itertools
import os
import pickle
import random
from pathlib import Path
from typing import Any

from analysis.ledger.load import load
from tests.chaos.drivers import forked, wait_for
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, differing, read, repeated, undisturbed
from tests.places import ROOT
from tests.test_untrusted import dangers


def another_day(code: str) -> None:
    """Let this process believe that enhance/ is other code."""
    from sweeps.engine import environment

    environment.code_hash = lambda: code  # type: ignore[assignment]


def stale_code(seed: int, folder: Path) -> Outcome:
    """A killed run is taken up by other code, and then by its own."""
    rng, out = random.Random(seed), folder / "run"
    with forked(out) as driver:
        wait_for(driver, out, rng.randint(1, 40))
        driver.kill()
    before, wrong = acknowledged(out), []
    with forked(out, prepare=another_day, given=(f"{rng.getrandbits(64):016x}",)) as driver:
        if driver.wait() != 2 or "cannot continue" not in driver.text():
            wrong.append(f"other code is not refused: status {driver.status}: {driver.text()[-500:]}")
    if acknowledged(out) != before:
        wrong.append("what was refused has left a row")
    with forked(out) as driver:
        wrong += [] if driver.wait() == 0 else [f"status {driver.status}: {driver.text()[-500:]}"]
    return compare(undisturbed(), out, before, Outcome(wrong="; ".join(wrong)))


class Bomb:
    """What a pickle can hold: it makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


def hostile_files(seed: int, folder: Path) -> Outcome:
    """A pickle in the place of each file that the project reads: weights, a file of each dataset, the journal."""
    mark, out, wrong = folder / "it was run", folder / "run", []
    bomb = pickle.dumps(Bomb(mark), protocol=seed % (pickle.HIGHEST_PROTOCOL + 1))
    weights = folder / "weights.pt"
    weights.write_bytes(bomb)
    with forked(folder / "vgg", "--set", "loss.content=1", "--set", f"loss.vgg_weights=file:{weights}") as driver:
        status = driver.wait()
    if status == 0 and set(load(folder / "vgg").trials["ending"]) & {"completed", "stopped"}:
        wrong.append("a trial was trained with a pickle for weights")
    numbers = itertools.count(1)
    for name in ("runs", "starts", "originals", "samples", "reports", "trials"):
        (out / name).mkdir(parents=True)
        (out / name / f"part-00000-0-{next(numbers):07d}.parquet").write_bytes(bomb + b"teststrip.schema")
    (out / "optuna.journal").write_bytes(bomb)
    with forked(out) as driver:
        wrong += [] if driver.wait() == 0 else [f"status {driver.status}: {driver.text()[-500:]}"]
    sources = (path for top in ("enhance", "sweeps", "analysis") for path in (ROOT / top).rglob("*.py"))
    wrong += [f"{path.name}:{danger}" for path in sources for danger in dangers(path.read_text())]
    wrong += ["a pickle was run"] if mark.exists() else []
    found, expected = read(out), read(undisturbed())
    return Outcome(8, 0, repeated(found), differing(expected, found), wrong="; ".join(wrong))


FAULTS = [
    Fault(
        "stale code",
        "a driver is killed, and its run taken up by code with another hash; then by its own",
        "the other code is refused and leaves no row, and the same rows come of it as without",
        stale_code,
        wanted=20,
    ),
    Fault(
        "hostile files",
        "a pickle that would run a command in the place of weights, of a file of each dataset and of Optuna's journal; "
        "and every source is searched for calls that run what they read",
        "nothing of it is run, the files are put aside, and the run comes to its end",
        hostile_files,
        wanted=6,
    ),
]
