"""`--workers 0`: every trial in this process, one after the other, without Ray. For debugging and for tests."""

from collections.abc import Callable
from pathlib import Path

from sweeps.engine.run.controller import RunController


def run_inline(
    controller: RunController, store: Path, device: str, timeout_s: float | None, tick: Callable[[], None]
) -> None:
    """Carry every assignment of `controller` to one worker in this process. `tick` is called between reports."""
    from sweeps.engine.workers.worker import Worker  # brings torch, which a driver of other processes can do without

    worker = Worker(store, device, timeout_s=timeout_s)
    while assignment := controller.next_assignment():
        if worker.tainted:  # its thread hangs on in this process; there is no other one to take
            worker = Worker(store, device, timeout_s=timeout_s)
        worker.start(assignment)
        while controller.hear(worker.advance()):
            tick()
        tick()
