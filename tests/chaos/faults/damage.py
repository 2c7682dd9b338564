"""Files that a disk has damaged: cut off, with flipped bits, or torn journals. Never a wrong number in silence."""

import math
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pyarrow as pa
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.ledger.files import LedgerError, read_table
from analysis.ledger.schema import DATASETS
from tests.chaos.drivers import forked, wait_for
from tests.chaos.faults.killed import Recovery
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import COMPARED, compare, differing, read, repeated, undisturbed
from tests.patience import PATIENCE_S

STRIDE = 61
"""A repetition damages every file at every STRIDE-th byte, from its seed on: 61 of them go through all bytes."""


def cuts(whole: bytes, seed: int) -> Iterator[bytes]:
    """The file, cut off at every STRIDE-th byte."""
    return (whole[:length] for length in range(seed % STRIDE, len(whole), STRIDE))


def flips(whole: bytes, seed: int) -> Iterator[bytes]:
    """The file, with one flipped bit at every STRIDE-th byte."""
    for position in range(seed % STRIDE, len(whole), STRIDE):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position + seed) % 8
        yield bytes(damaged)


def _read_damaged(seed: int, folder: Path, damaged: Callable[[bytes, int], Iterator[bytes]]) -> Outcome:
    """A file of each dataset, damaged in every way beside an intact one: it is read whole, or named and left out."""
    struck = unequal = 0
    wrong: set[str] = set()
    for name in (*COMPARED, "runs"):
        paths = sorted((undisturbed() / name).glob("part-*"))
        intact, victim = paths[0], paths[seed % len(paths)]
        place = folder / name
        place.mkdir()
        shutil.copy(intact, place / "part-0.parquet")
        alone, _ = read_table(folder, name, DATASETS[name].key)
        target = place / "part-1.parquet"
        shutil.copy(victim, target)
        both, _ = read_table(folder, name, DATASETS[name].key)
        for content in damaged(victim.read_bytes(), seed):
            struck += 1
            target.write_bytes(content)
            try:
                table, notes = read_table(folder, name, DATASETS[name].key)
            except LedgerError as error:
                wrong |= set() if "schema version" in str(error) else {str(error)}
                continue
            unequal += not _equal(table, alone if notes else both)
    return Outcome(struck, unequal=unequal, wrong="; ".join(sorted(wrong)[:3]))


def _equal(one: pa.Table | None, other: pa.Table | None) -> bool:
    """The same names, types and values; NaN equals itself."""
    if one is None or other is None or one.schema != other.schema or len(one) != len(other):
        return one is other
    return one.equals(other) or all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
        for row, own in zip(one.to_pylist(), other.to_pylist(), strict=True)
        for a, b in zip(row.values(), own.values(), strict=True)
    )


def cut_off(seed: int, folder: Path) -> Outcome:
    """Files of a ledger that end too early."""
    return _read_damaged(seed, folder, cuts)


def flipped(seed: int, folder: Path) -> Outcome:
    """Files of a ledger with a flipped bit."""
    return _read_damaged(seed, folder, flips)


def damaged_between(seed: int, folder: Path) -> Outcome:
    """A run is killed, one of its files is damaged, and the same command goes on."""
    rng, out = random.Random(seed), folder / "run"
    clock = Recovery(out)
    with forked(out) as driver:
        wait_for(driver, out, rng.randint(4, 40))
        driver.kill()
    clock.stopped()
    victim = rng.choice(sorted(path for name in DATASETS for path in (out / name).glob("part-*")))
    whole = victim.read_bytes()
    ways = [whole[: rng.randrange(len(whole))], _flipped_somewhere(whole, rng), bytes(len(whole))]
    victim.write_bytes(rng.choice(ways))
    with forked(out) as driver:
        clock.watch(driver, PATIENCE_S)
        status = driver.wait()
    wrong = [] if status == 0 else [f"{victim.parent.name} was damaged: status {status}: {driver.text()[-600:]}"]
    found, expected = read(out), read(undisturbed())
    unequal = differing(expected, found, only_measured=True)
    return Outcome(1, 0, repeated(found), unequal, clock.longest_s, "; ".join(wrong))


def _flipped_somewhere(whole: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(whole)
    damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def torn_journal(seed: int, folder: Path) -> Outcome:
    """A run is killed, its Optuna journal is cut off, mixed with noise or removed, and the same command goes on."""
    rng, out = random.Random(seed), folder / "run"
    with forked(out) as driver:
        wait_for(driver, out, rng.randint(4, 40))
        driver.kill()
    journal = out / "optuna.journal"
    whole = journal.read_bytes() if journal.exists() else b""
    middle = rng.randrange(len(whole) + 1)
    noise = rng.randbytes(rng.randint(1, 99))
    ways = [whole[:middle], whole[:middle] + noise + whole[middle:], whole + noise, noise, None]
    way = rng.choice(ways)
    if way is None:
        journal.unlink(missing_ok=True)
    else:
        journal.write_bytes(way)
    with forked(out) as driver:
        status = driver.wait()
    wrong = [] if status == 0 else [f"status {status}: {driver.text()[-600:]}"]
    return compare(undisturbed(), out, {}, Outcome(wrong="; ".join(wrong + _loads(journal))))


def _loads(journal: Path) -> list[str]:
    """What Optuna's own reader does not find in the journal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            storage = JournalStorage(JournalFileBackend(str(journal)))
            count = [study.n_trials for study in optuna.get_all_study_summaries(storage)]
        except Exception as error:  # noqa: BLE001 - whatever it is, the journal cannot be read
            return [f"Optuna cannot read the journal: {type(error).__name__}: {error}"]
    return [] if count == [9] else [f"Optuna finds studies of {count} trials in the journal, not of [9]"]


FAULTS = [
    Fault(
        "file cut off",
        f"a file of each dataset is cut off at every {STRIDE}st byte, from the seed on",
        "its rows are read, or the file is named and left out; no other number, ever",
        cut_off,
    ),
    Fault(
        "bit flipped",
        f"in a file of each dataset a bit is flipped at every {STRIDE}st byte, from the seed on",
        "its rows are read, or the file is named and left out; no other number, ever",
        flipped,
    ),
    Fault(
        "file damaged between two invocations",
        "a driver is killed, a file of its ledger cut off, zeroed or given a flipped bit; then the same command",
        "the file is put aside, the run comes to its end, and no row is wrong or there twice",
        damaged_between,
    ),
    Fault(
        "journal torn",
        "a driver is killed, and Optuna's journal cut off, mixed with noise or removed; then the same command",
        "the same rows as without, and a journal that Optuna reads",
        torn_journal,
    ),
]
