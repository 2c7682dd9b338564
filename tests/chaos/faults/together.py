"""Two drivers on one run, and readers beside a driver."""

import random
import time
from pathlib import Path

from analysis.ledger.fetch import fetch
from analysis.ledger.files import LedgerError, read_table
from analysis.ledger.schema import DATASETS
from tests.chaos.drivers import forked, wait_for, written
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare, undisturbed


def second_driver(seed: int, folder: Path) -> Outcome:
    """A second and a third driver start at random moments of the first: one holds the run, the others are refused."""
    rng, out, struck, wrong = random.Random(seed), folder / "run", 0, []
    with forked(out) as one:
        time.sleep(rng.uniform(0, 0.5))
        with forked(out) as two:
            time.sleep(rng.uniform(0, 1.0))
            with forked(out) as three:
                statuses = sorted(driver.wait() for driver in (one, two, three))
    struck += statuses.count(2)
    text = one.text()
    if statuses[0] != 0 or not set(statuses) <= {0, 2}:
        wrong.append(f"the drivers ended with {statuses}: {text[-500:]}")
    if struck and "another driver is writing to" not in text:
        wrong.append("the refusal does not say why")
    return compare(undisturbed(), out, {}, Outcome(struck, wrong="; ".join(wrong)))


def readers(seed: int, folder: Path) -> Outcome:
    """A reader and a packing copy, over and over beside a driver that is killed once and started again."""
    rng, out, home = random.Random(seed), folder / "run", folder / "home"
    before: dict[str, str] = {}
    wrong: list[str] = []
    looks, seen = 0, _Seen()
    for kill_at in (rng.randint(5, 40), None):
        with forked(out) as driver:
            wait_for(driver, out, 1, "trials")
            while driver.status is None:
                wrong += seen.look(out)
                wrong += _pack(out, home)
                looks += 1
                if kill_at is not None and written(out) >= kill_at:
                    driver.kill()
        before |= acknowledged(out)
    wrong += seen.look(out) + _pack(out, home)
    outcome = compare(undisturbed(), out, before, Outcome(looks, wrong="; ".join(dict.fromkeys(wrong))))
    packed = compare(undisturbed(), home, {}, outcome)
    return Outcome(
        looks,
        outcome.lost + packed.lost,
        outcome.twice + packed.twice,
        outcome.unequal + packed.unequal,
        wrong=packed.wrong,
    )


class _Seen:
    """The keys that a reader has seen: none may vanish, and a trial's row comes after its start."""

    def __init__(self) -> None:
        self._keys: dict[str, set[object]] = {}

    def look(self, run: Path) -> list[str]:
        wrong, now = [], {}
        for name in reversed(DATASETS):  # rows refer to datasets that are read after theirs, as `fetch` does it
            table, notes = read_table(run, name, DATASETS[name].key)
            rows = [] if table is None else table.select(list(DATASETS[name].key)).to_pylist()
            now[name] = {tuple(row.values()) for row in rows}
            wrong += notes
            wrong += [f"a row of {name} has vanished"] if self._keys.get(name, set()) - now[name] else []
        started = {key[0] for key in now["starts"]}
        wrong += [f"{name} of a trial that has not begun" for name in ("trials", "reports")
                  if {key[0] for key in now[name]} - started]  # fmt: skip
        self._keys = now
        return wrong


def _pack(run: Path, home: Path) -> list[str]:
    try:
        return fetch(run, home, compact=True).notes
    except LedgerError as error:
        return [str(error)]


FAULTS = [
    Fault(
        "two drivers on one run",
        "the command is started three times within a second and a half",
        "one runs, the others are refused in a sentence, and the rows are those of one",
        second_driver,
    ),
    Fault(
        "readers beside a driver",
        "the run is read, and fetched into one packed copy, over and over while it is written and its driver killed",
        "what is seen is always a prefix of what was committed, and the copy ends with the same rows",
        readers,
        wanted=20,
    ),
]
