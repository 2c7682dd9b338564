"""The watchdog: runs work in a thread, and abandons it if it makes no progress for too long.

Python cannot end a thread. One that hangs keeps its memory, its locks and the device, so its process must not be used
for anything else. A call that hangs while it holds the GIL stops the watchdog too; torch releases the GIL while it
computes.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from analysis.screen import BROKEN_PIPE, silence_stdout

LOOKS = 20
"""The watchdog checks for progress this many times within its patience."""

WATCHED = "watched"
"""The name of every thread that may hang."""

JOIN_S = 1.0
"""A watched thread that has done its work has ended by then."""

Answer = TypeVar("Answer")


class Hung(Exception):
    """Work made no progress for `patience_s` seconds; `place` is the file and line at which it hangs."""

    def __init__(self, patience_s: float, place: str) -> None:
        super().__init__(patience_s, place)
        self.patience_s, self.place = patience_s, place

    def __str__(self) -> str:
        return f"no progress for {self.patience_s:g} s (at {self.place})"


def run_watched(work: Callable[[], Answer], beats: Callable[[], object], patience_s: float) -> Answer:
    """Run `work` in a new thread; return or raise what it returns or raises.

    `beats()`, called from this thread, must change as the work makes progress. Raises Hung if it keeps its value for
    `patience_s` seconds, or up to 1 / LOOKS longer; the thread is then abandoned. Checks are counted, not seconds:
    a process that was suspended (by ^Z, say) has not hung.
    """
    outcome: Future[Answer] = Future()
    # Not an executor: its threads are not daemons, and Python's exit would wait for one that hangs.
    thread = threading.Thread(target=_do, args=(work, outcome), name=WATCHED, daemon=True)
    thread.start()
    seen, quiet = beats(), 0
    while not wait([outcome], timeout=patience_s / LOOKS).done:
        now = beats()
        quiet = quiet + 1 if now == seen else 0
        seen = now
        if quiet == LOOKS:
            raise Hung(patience_s, _place(thread))
    return outcome.result()


def _do(work: Callable[[], Answer], outcome: Future[Answer]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001 - the waiting thread raises it, whatever it is
        outcome.set_exception(error)


def _place(thread: threading.Thread) -> str:
    """The line that a thread executes: "file.py:12"."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "its end"
    last = traceback.extract_stack(frame)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def leave(status: int) -> NoReturn:
    """Exit with this status, even if a training thread hangs.

    Python's own exit would take torch's libraries apart under that thread, which aborts the process (status 134).
    """
    # Now, so that a reader that has gone can still change the status; Python's exit would print an error.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        status = BROKEN_PIPE
    watched = [thread for thread in threading.enumerate() if thread.name == WATCHED]
    for thread in watched:
        thread.join(JOIN_S)
    if any(thread.is_alive() for thread in watched):
        # `os._exit` flushes nothing.
        for stream in (sys.stdout, sys.stderr):
            # It may be closed, or None.
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)
    sys.exit(status)
