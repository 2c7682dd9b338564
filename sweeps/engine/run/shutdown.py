"""End a run early: by a signal, or at a limit of time or cost."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

from sweeps.engine.run.controller import RunController

GRACE_S = 25.0
"""After a signal, running trials have this long to reach their next rung. A machine that goes down gives 30 s.
Schedulers (Slurm's --signal, a pod's grace period) often give minutes, which TESTSTRIP_GRACE_S can use."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_close(controller: RunController, grace_s: float) -> Iterator[None]:
    """Within this context, the first signal closes the run, and running trials may go on to their next rung.

    A second signal, or the end of `grace_s` seconds after the first, raises KeyboardInterrupt. Either way the run can
    be resumed: every acknowledged report is in the ledger. A signal that this process was started to ignore stays
    ignored.
    """

    def hear(number: int, frame: FrameType | None) -> None:
        # If a limit is closing the run already, even the first signal interrupts it.
        if controller.closing or number == signal.SIGALRM:
            raise KeyboardInterrupt
        controller.close(signal.Signals(number).name)
        signal.setitimer(signal.ITIMER_REAL, grace_s)

    with _handled((*SIGNALS, signal.SIGALRM), hear) as is_main:
        try:
            yield
        finally:
            # The timer goes first: an alarm without a handler kills the process.
            if is_main:
                signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Within this context, SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does.

    For the time before a run can be closed, and after it has been. A signal that this process was started to ignore
    stays ignored.
    """

    def hear(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled((signal.SIGTERM, signal.SIGHUP), hear):
        yield


@contextlib.contextmanager
def _handled(numbers: Sequence[signal.Signals], hear: Callable[[int, FrameType | None], None]) -> Iterator[bool]:
    """Within this context, `hear` handles these signals. Yields whether this is the main thread."""
    # Only the main thread can handle signals. In another one they are left to the program that started it.
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    # `nohup` and the background of a script start a process with SIGHUP or SIGINT ignored: it is meant to outlive them.
    # The alarm is our own: nobody can ask us to outlive it.
    heard = [number for number in numbers if number == signal.SIGALRM or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in heard}
    try:
        yield True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupt_kept() -> Iterator[Callable[[], None]]:
    """Within this context, SIGINT raises KeyboardInterrupt, and the function that it yields raises it again.

    Python prints and forgets an exception in a library's callback, and Ray runs many while it starts: the interrupt
    would be lost. Call the function when the library is done.
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    def raise_again() -> None:
        if heard:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    # Any other handler means that SIGINT is ignored, or belongs to a program that calls us.
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield raise_again
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
    # Not `wall_s`, which also has the time in which a network is built and the device is idle.
    return sum(trial.train_s + trial.eval_s for trial in controller.trials.values())
