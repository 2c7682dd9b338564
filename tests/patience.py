"""Timeouts of tests: long enough for the slowest machine, so that only a hang fails.

No test may measure time: a test that waits does so for an event, a file or the end of a process.
"""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 600.0
"""Minutes, for what takes seconds. pytest's own limit on a whole test (pyproject.toml) is longer."""

Seen = TypeVar("Seen")


def wait_until(look: Callable[[], Seen | None], what: Callable[[], object]) -> Seen:
    """The first true thing that `look` sees, asked ten times a second; `what` is said where it never comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
    return seen
