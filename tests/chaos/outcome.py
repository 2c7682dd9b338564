"""A fault, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What one repetition left behind.

    `struck` counts how often the fault was made. `lost`, `twice` and `unequal` count rows at the end: acknowledged and
    not there, there more than once, and with other values than in an undisturbed run. `recovery_s` is the longest
    time from a fault until the next row was written; None where nothing has to recover. `wrong` says in a sentence what
    else went wrong, `said` is a figure worth printing.
    """

    struck: int = 1
    lost: int = 0
    twice: int = 0
    unequal: int = 0
    recovery_s: float | None = None
    wrong: str = ""
    said: str = ""

    @property
    def survived(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.twice or self.unequal or self.wrong)


@dataclass(frozen=True)
class Fault:
    """Something that may happen to a run.

    `title` says what is done and `expected` what must come of it, both for the page. `make` does it with a seed in an
    empty folder; up to `wanted` seeds are tried. `lacking` says why this machine cannot do it, or nothing.
    """

    name: str
    title: str
    expected: str
    make: Callable[[int, Path], Outcome]
    wanted: int = 50
    lacking: Callable[[], str] = lambda: ""
