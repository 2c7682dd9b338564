"""The record of every repetition: lines of JSON, appended one by one, so that an interrupted `make chaos` goes on."""

import functools
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from enhance.system.source_digest import source_digest
from tests.chaos.outcome import Fault, Outcome
from tests.places import ROOT

PRODUCT = ("enhance", "sweeps", "analysis")


@dataclass(frozen=True)
class Entry:
    """One repetition. `code` names the project's code, and `test` that of the fault: others' outcomes do not count."""

    fault: str
    seed: int
    outcome: Outcome
    code: str
    test: str
    date: str
    machine: Mapping[str, Any]


class Record:
    """The entries of this state of the code in a file, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, fault: Fault, seed: int, outcome: Outcome) -> None:
        """Make an entry durable."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Entry(fault.name, seed, outcome, code_hash(), test_hash(fault), now, machine())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell() and not self.path.read_bytes().endswith(b"\n"):
                file.write(b"\n")  # the line of a process that was killed
            file.write(json.dumps(asdict(entry)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self, fault: Fault) -> list[Entry]:
        """Those of a fault, by seed."""
        own = (fault.name, code_hash(), test_hash(fault))
        found = {entry.seed: entry for entry in self._all() if (entry.fault, entry.code, entry.test) == own}
        return [found[seed] for seed in sorted(found)]

    def _all(self) -> Iterator[Entry]:
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            try:
                values = json.loads(line)
            except ValueError:
                continue  # torn
            yield Entry(**{**values, "outcome": Outcome(**values["outcome"])})


@functools.cache
def code_hash() -> str:
    """16 hexadecimal digits of the project's code, whatever its comments say."""
    return source_digest(ROOT, (path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")))[:16]


@functools.cache
def _hash_of(module: str) -> str:
    return source_digest(ROOT, [ROOT.joinpath(*module.split(".")).with_suffix(".py")])[:16]


def test_hash(fault: Fault) -> str:
    """16 hexadecimal digits of the file that makes the fault."""
    return _hash_of(fault.make.__module__)


@functools.cache
def machine() -> dict[str, Any]:
    """What the outcomes were made on."""
    versions = {name: version(name) for name in ("ray", "torch")}
    return {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version(), **versions}


def summary(record: Record, faults: Sequence[Fault]) -> dict[str, Any]:
    """The counts of all faults: what docs/reliability.json holds."""
    counted = {fault.name: record.entries(fault) for fault in faults}
    every = [entry for entries in counted.values() for entry in entries]
    return {
        "code": code_hash(),
        "dates": sorted({entry.date[:10] for entry in every}),
        "machines": [dict(found) for found in dict.fromkeys(tuple(sorted(e.machine.items())) for e in every)],
        "faults": [_counts(fault, counted[fault.name]) for fault in faults],
    }


def _counts(fault: Fault, entries: Sequence[Entry]) -> dict[str, Any]:
    outcomes = [entry.outcome for entry in entries]
    took = [outcome.recovery_s for outcome in outcomes if outcome.recovery_s is not None]
    return {
        "name": fault.name,
        "title": fault.title,
        "expected": fault.expected,
        "seeds": [entry.seed for entry in entries],
        **{name: sum(getattr(own, name) for own in outcomes) for name in ("struck", "lost", "twice", "unequal")},
        "longest_recovery_s": round(max(took), 1) if took else None,
        "wrong": [f"seed {entry.seed}: {entry.outcome.wrong}" for entry in entries if entry.outcome.wrong],
        "said": next((own.said for own in reversed(outcomes) if own.said), ""),
        "lacking": "" if entries else fault.lacking(),
    }
