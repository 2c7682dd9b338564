"""The ledger's folder as a power failure may leave it, rebuilt from what was written, linked, removed and synced."""

import contextlib
import itertools
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from analysis.ledger.files import read_table
from sweeps.engine.ledger import writer
from sweeps.engine.ledger.writer import Ledger
from tests.chaos.outcome import Fault, Outcome


@dataclass
class Disk:
    """The names in a tree of folders that are durable, and the changes of names that no sync has made so.

    A file's bytes are durable when it was synced, and a change of names when the folder that it happened in was. Until
    then a power failure may keep or lose each. (As in Pillai et al., OSDI 2014.)
    """

    root: Path
    durable: dict[str, bytes | None] = field(default_factory=dict)
    pending: list[tuple[str, bytes | None, bool]] = field(default_factory=list)
    synced: dict[str, bytes] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def changed(self, path: Path, content: bytes | None, exists: bool) -> None:
        """A name has appeared (of a folder: no content) or gone."""
        self.pending.append((self.name(path), content, exists))

    def sync(self, path: Path) -> None:
        """What fsync makes durable: a file's bytes, or the names in a folder."""
        own = self.name(path)
        if path.is_dir():
            done = [change for change in self.pending if os.path.dirname(change[0]) == ("" if own == "." else own)]
            for name, content, exists in done:
                self._apply(self.durable, name, content, exists)
                self.pending.remove((name, content, exists))
        else:
            self.synced[own] = path.read_bytes()

    def states(self, rng: random.Random, most: int = 6) -> Iterator[dict[str, bytes | None]]:
        """What may be on the disk after a power failure: every choice of pending changes, or `most` of these."""
        choices = list(itertools.product((False, True), repeat=len(self.pending)))
        for kept in choices if len(choices) <= most else rng.sample(choices, most):
            state = dict(self.durable)
            for (name, content, exists), is_kept in zip(self.pending, kept, strict=True):
                if is_kept:
                    self._apply(state, name, self._survived(name, content, rng), exists)
            yield {name: content for name, content in state.items() if _has_folders(name, state)}

    def _survived(self, name: str, content: bytes | None, rng: random.Random) -> bytes | None:
        """Of a file that was not synced any part may be there, or zeros in its place."""
        if content is None or content in self.synced.values():
            return content
        length = rng.randrange(len(content) + 1)
        return content[:length] + bytes(len(content) - length) * rng.randrange(2)

    @staticmethod
    def _apply(state: dict[str, bytes | None], name: str, content: bytes | None, exists: bool) -> None:
        if exists:
            state[name] = content
        else:
            state.pop(name, None)


def _has_folders(name: str, state: dict[str, bytes | None]) -> bool:
    return all(parent.as_posix() in state for parent in Path(name).parents if parent.as_posix() != ".")


class Recorded:
    """What happens on a disk while a ledger is written: in `moments`, the disk and what was told, at each step."""

    def __init__(self, root: Path) -> None:
        self.disk = Disk(root)
        self.acknowledged: list[str] = []
        self.moments: list[tuple[Disk, tuple[str, ...]]] = []

    def step(self) -> None:
        """Keep the disk as it is now."""
        own = self.disk
        copied = replace(own, durable=dict(own.durable), pending=list(own.pending), synced=dict(own.synced))
        self.moments.append((copied, tuple(self.acknowledged)))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Every change of names, bytes and durability in the block becomes a step."""
        disk = self.disk
        with (
            self._noting(os, "mkdir", lambda path, *_: disk.changed(Path(path), None, True)),
            self._noting(writer.pq, "write_table", lambda _, path: disk.changed(path, path.read_bytes(), True)),
            self._noting(os, "fsync", lambda number: disk.sync(Path(os.readlink(f"/proc/self/fd/{number}")))),
            self._noting(os, "link", lambda _, final: disk.changed(final, final.read_bytes(), True)),
            self._noting(Path, "unlink", lambda path: disk.changed(path, None, False)),
        ):
            yield

    def _noting(self, owner: Any, name: str, note: Callable[..., None]) -> Any:
        """A patch of `owner.name` that notes what it has done; what raises has done nothing."""
        original = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            done = original(*arguments, **options)
            note(*arguments)
            self.step()
            return done

        return mock.patch.object(owner, name, call)


def power_failure(seed: int, folder: Path) -> Outcome:
    """Two invocations write a ledger; then each state that a power failure may leave is read and gone on with."""
    rng, whole = random.Random(seed), folder / "disk"
    whole.mkdir()
    recorded = Recorded(whole)
    with recorded.watched():
        for invocation in range(2):
            with Ledger(whole / "runs" / "run") as ledger:
                for number in range(rng.randint(2, 4)):
                    name = f"{invocation}-{number}"
                    ledger.commit(rng.choice(("runs", "starts", "trials")), [_row(name)])
                    recorded.acknowledged.append(name)
                    recorded.step()
    struck = lost = twice = 0
    wrong: list[str] = []
    for disk, told in recorded.moments:
        for state in disk.states(rng):
            struck += 1
            with tempfile.TemporaryDirectory(dir=folder) as place:
                found = _names_after(state, Path(place), wrong)
            lost += len(set(told) - set(found))
            twice += len(found) - len(set(found))
    return Outcome(struck, lost, twice, wrong="; ".join(sorted(set(wrong))[:3]))


def _row(name: str) -> writer.Row:
    return {"run": name, "trial": name, "metric.psnr_db": 20.0}


def _names_after(state: dict[str, bytes | None], place: Path, wrong: list[str]) -> list[str]:
    """The rows that the next driver finds in such a state, which it must be able to go on with."""
    for name, content in sorted(state.items()):
        if content is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(content)
    run, found = place / "runs" / "run", []
    with Ledger(run) as ledger:
        ledger.commit("trials", [_row("next")])
    for dataset in ("runs", "starts", "trials"):
        table, notes = read_table(run, dataset, ["trial"])
        wrong += [f"a reader complains: {note}" for note in notes]
        found += [] if table is None else table["trial"].to_pylist()
    wrong += [f"{path.name} was left" for path in run.rglob(".*.tmp")]
    found.remove("next")
    return found


FAULTS = [
    Fault(
        "power failure",
        "of the states that the disk may be in after each write, link, removal and sync, six are rebuilt at random",
        "every acknowledged row is read, and the next driver goes on",
        power_failure,
    ),
]
