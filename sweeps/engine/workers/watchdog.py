"""The watchdog: work in a thread of its own, given up where it shows no sign of life for too long.

Python cannot end a thread. One that hangs keeps its memory, its locks and the device, so that a process with such a
thread must not be trusted with anything else. A call that hangs while it holds the interpreter's lock stops the
watchdog too; torch lets go of the lock while it computes.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

LOOKS = 20
"""How often the watchdog looks within its patience."""

Answer = TypeVar("Answer")


class Hung(Exception):
    """There was no sign of life for `patience_s` seconds; `place` is the file and line where the work stands."""

    def __init__(self, patience_s: float, place: str) -> None:
        super().__init__(patience_s, place)
        self.patience_s, self.place = patience_s, place

    def __str__(self) -> str:
        return f"no progress for {self.patience_s:g} s (at {self.place})"


def watched(work: Callable[[], Answer], beats: Callable[[], object], patience_s: float) -> Answer:
    """Do `work` in a thread of its own, and give or raise what it gives or raises.

    Raises Hung where `beats()`, asked from this thread, keeps its value for `patience_s` seconds, or up to 1 / LOOKS
    longer; the work is then left behind. Looks are counted, not seconds: a process that was stopped (by ^Z, say) has
    not hung.
    """
    outcome: Future[Answer] = Future()
    thread = threading.Thread(target=_do, args=(work, outcome), name="watched", daemon=True)
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
    except BaseException as error:  # noqa: BLE001 - whatever it is, the thread that waits is to see it
        outcome.set_exception(error)


def _place(thread: threading.Thread) -> str:
    """Where a thread stands in Python: "file.py:12"."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "its end"
    last = traceback.extract_stack(frame)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
