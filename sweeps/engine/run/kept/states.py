"""Checkpoints: the states of unfinished trials on disk, RUN/states/TRIAL/STEP-DIGEST.state.

A state holds everything that training goes on from: weights, optimizer, means, and the step, from which the batches
follow. It is written after the report at its step, so a resumed trial has every report that came before its state, and
repeats at most what came after.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from analysis.ledger.location import Location, files, folders

FOLDER = "states"
"""The folder of a run that holds one folder per unfinished trial."""

KEPT = 2
"""States per trial: the newest, and the one before, in case the newest is damaged."""

SUFFIX = ".state"


class FileSink(Protocol):
    """What is needed of a ledger."""

    @property
    def root(self) -> Location:
        """Where the run is."""

    def commit_bytes(self, inside: str, name: str, content: bytes) -> object:
        """Make the file `name` in the folder `inside` durable before returning, complete or absent."""

    def remove(self, path: Location) -> None:
        """Remove a file of the run, if it is there."""


class KeptStates:
    """Writes and finds the states of a run's trials. `notice` receives a sentence about each damaged one."""

    def __init__(self, ledger: FileSink, notice: Callable[[str], None] = lambda sentence: None) -> None:
        self._ledger, self._notice = ledger, notice

    def keep(self, trial: str, step: int, state: bytes) -> None:
        """Write the state of a trial at a step, and remove all but the newest KEPT."""
        # Steps of equal width, so that the order of names is that of steps.
        self._ledger.commit_bytes(f"{FOLDER}/{trial}", f"{step:012d}-{_digest(state)}{SUFFIX}", state)
        for path in self._files(trial)[:-KEPT]:
            self._ledger.remove(path)

    def newest(self, trial: str, rungs: Collection[int], reported: Collection[int]) -> bytes | None:
        """The newest intact state of a trial that has reported at each of the `rungs` up to there; None without one."""
        for path in reversed(self._files(trial)):
            step, _, digest = path.name.removesuffix(SUFFIX).partition("-")
            # From a later state, the trial would never make a report that is missing.
            if any(rung <= int(step) and rung not in reported for rung in rungs):
                continue
            state: bytes = path.read_bytes() if isinstance(path, Path) else path.read().to_pybytes()
            if _digest(state) == digest:
                return state
            self._notice(f"note: {path} is damaged; the trial goes on from an earlier state")
        return None

    def drop(self, trial: str) -> None:
        """Remove the states of a trial that has ended."""
        for path in self._files(trial):
            self._ledger.remove(path)
        folder = self._ledger.root / FOLDER / trial
        # A store has no empty folders. One with anything else in it stays.
        if isinstance(folder, Path):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def drop_all_but(self, trials: Collection[str]) -> None:
        """Remove the states of every other trial: a killed driver may have left some."""
        for folder in folders(self._ledger.root / FOLDER):
            if folder.name not in trials:
                self.drop(folder.name)

    def _files(self, trial: str) -> list[Location]:
        """The states of a trial, oldest first."""
        found: list[Location] = files(self._ledger.root / FOLDER / trial)
        return [path for path in found if _is_state(path.name)]


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()[:16]


def _is_state(name: str) -> bool:
    step, _, rest = name.partition("-")
    return step.isdecimal() and rest.endswith(SUFFIX)
