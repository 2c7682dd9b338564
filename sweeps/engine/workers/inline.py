"""`--workers 0`: train every trial in this process, one after the other, without Ray. For debugging and for tests."""

from collections.abc import Callable
from pathlib import Path

from sweeps.engine.run.controller import RunController


def run_inline(
    controller: RunController, store: Path, device: str, timeout_s: float | None, tick: Callable[[], None]
) -> None:
    """Run every assignment of `controller` in one worker in this process. `tick` is called between reports."""
    # Imported here: it loads torch, which a driver of Ray workers does not need.
    from sweeps.engine.workers.worker import Worker

    worker = Worker(store, device, timeout_s=timeout_s)
    # None means that the run is over: with a single worker, nothing else is running that new work could wait for.
    while assignment := controller.next_assignment():
        # The old worker's thread still hangs in this process, but there is no other process to use.
        if worker.tainted:
            worker = Worker(store, device, timeout_s=timeout_s)
        worker.start(assignment)
        while controller.hear(worker.advance()):
            tick()
        tick()
