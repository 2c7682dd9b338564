"""End a run early: by a signal, or at a limit of time or cost."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from sweeps.engine.run.controller import RunController

GRACE_S = 25.0
"""After a signal, running trials have this long to come to their next rung, unless TESTSTRIP_GRACE_S says otherwise: a
machine that goes down gives 30 s; a scheduler (Slurm's --signal, a pod's grace period) often gives minutes."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_close(controller: RunController, grace_s: float) -> Iterator[None]:
    """While it is entered, the first signal closes the run, and running trials may go on to their next rung.

    A second signal, or `grace_s` seconds after the first, raises KeyboardInterrupt. Either way the run can be resumed:
    every acknowledged report is in the ledger. A signal that this process was started to ignore stays ignored.
    """

    def hear(number: int, frame: FrameType | None) -> None:
        if controller.closing or number == signal.SIGALRM:
            raise KeyboardInterrupt
        controller.close(signal.Signals(number).name)
        signal.setitimer(signal.ITIMER_REAL, grace_s)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals: they are left to the program that started this one
        return
    # `nohup` and the background of a script start a process with SIGHUP or SIGINT ignored: it is meant to outlive them.
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in (*heard, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupt_kept() -> Iterator[Callable[[], None]]:
    """While it is entered, SIGINT raises KeyboardInterrupt; the function that it gives does so again.

    An interrupt that arrives inside a library's callback, as there are many while Ray starts, is printed by Python and
    lost. Call the function when the library is done.
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    def raise_again() -> None:
        if heard:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield raise_again  # it is ignored, or another program's
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield raise_again
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Limits:
    """When to close a run: after `minutes` of wall time or `device_hours` of training; None means no limit."""

    minutes: float | None = None
    device_hours: float | None = None
    _started: float = field(default_factory=time.monotonic)

    def check(self, controller: RunController) -> None:
        """Close the run if a limit has passed. Device hours include the trials of earlier invocations."""
        if self.minutes is not None and time.monotonic() - self._started > 60 * self.minutes:
            controller.close(f"its {self.minutes:g} minutes are over")
        if self.device_hours is not None and _device_s(controller) > 3600 * self.device_hours:
            controller.close(f"its {self.device_hours:g} device hours are spent")


def _device_s(controller: RunController) -> float:
    return sum(trial.train_s + trial.eval_s for trial in controller.trials.values())
