"""What is lost, twice or unequal in a run that was disturbed, beside one that was not."""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis.ledger.files import QUARANTINE, read_table
from analysis.ledger.schema import DATASETS
from tests.chaos.drivers import finish
from tests.chaos.outcome import Outcome
from tests.sweeps.engine.whole_runs import plain

OF_THE_PROCESS = ("run.host", "run.captured")
"""Columns on the process that trained: of a trial whose last report outlived its process, nobody can say them."""

COMPARED = ("starts", "originals", "samples", "reports", "trials")


@dataclass(frozen=True)
class Rows:
    """The rows of a run by dataset and key, without times and places; and what its reader complained of."""

    tables: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...]


def read(run: Path) -> Rows:
    """Every row of a run, repeated ones included."""
    tables, notes = {}, []
    for name in COMPARED:
        key = list(DATASETS[name].key)
        table, said = read_table(run, name, key)
        notes += said
        frame = pd.DataFrame(columns=key) if table is None else plain(table.to_pandas(), key)
        tables[name] = frame.set_index(key).drop(columns=list(OF_THE_PROCESS), errors="ignore")
    return Rows(tables, tuple(notes))


def acknowledged(run: Path) -> dict[str, str]:
    """The complete files of a run, with digests: what must be there for ever."""
    paths = (path for name in DATASETS for path in sorted((run / name).glob("part-*.parquet")))
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


MEASURED = ("metric.", "spread.", "untouched.", "loss.", "signal.", "grad_norm", "learning_rate", "output")
"""What training has computed, as opposed to what the driver decided about it."""


def compare(whole: Path, run: Path, before: Mapping[str, str], outcome: Outcome | None = None) -> Outcome:
    """`outcome` with what is lost, twice and unequal in `run`.

    Lost are rows of `whole` that are not there, and every file of `before` that is gone or has changed. A row that
    `whole` does not have is unequal.
    """
    expected, found, after = read(whole), read(run), acknowledged(run)
    lost = sum(after.get(name) != digest for name, digest in before.items())
    unequal = differing(expected, found)
    for name, own in expected.tables.items():
        there = found.tables[name]
        lost += len(own.index.difference(there.index))
        unequal += len(there.index.difference(own.index))
    base = outcome or Outcome()
    wrong = "; ".join(filter(None, [base.wrong, *found.notes, *leftovers(run)]))
    return replace(base, lost=lost, twice=repeated(found), unequal=unequal, wrong=wrong)


def repeated(found: Rows) -> int:
    """How many rows repeat the key of another one."""
    return sum(int(table.index.duplicated().sum()) for table in found.tables.values())


def differing(expected: Rows, found: Rows, only_measured: bool = False, but: Collection[object] = frozenset()) -> int:
    """How many rows that both have differ in any value or column, those of `but` left out.

    `only_measured`: where the driver may have decided otherwise, what training computed must be the same. Rows of
    `trials` are left out then: they repeat the last report, which may be that of another rung.
    """
    count = 0
    for name, own in expected.tables.items():
        if only_measured and name == "trials":
            continue
        there = found.tables[name]
        a, b = (frame[~frame.index.duplicated()] for frame in (own, there))
        common = a.index.intersection(b.index)
        common = common[~common.get_level_values(0).isin(list(but))]
        names = list(dict.fromkeys([*a.columns, *b.columns]))
        names = [column for column in names if column.startswith(MEASURED) or not only_measured]
        a, b = (frame.reindex(columns=names).loc[common] for frame in (a, b))
        same = (a == b) | (a.isna() & b.isna())
        count += int((~same.all(axis=1)).sum())
    return count


def leftovers(run: Path) -> list[str]:
    """What no run leaves behind."""
    found = [f"{path.name} was left" for path in run.rglob(".*.tmp")]
    return found + [f"{path.name} is in {QUARANTINE}" for path in (run / QUARANTINE).glob("*")]


@functools.cache
def undisturbed(*options: str) -> Path:
    """The ledger of the same sweep with nothing in its way. It is made once, and goes with this process."""
    folder = tempfile.mkdtemp(prefix="chaos-whole-")
    _folders.append(folder)
    run = Path(folder) / "run"
    finish(run, *options)
    return run


_folders: list[str] = []


def forget() -> None:
    """Remove the undisturbed runs."""
    undisturbed.cache_clear()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)
