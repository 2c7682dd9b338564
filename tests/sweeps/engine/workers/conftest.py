"""One thread, and a timeout for everything that hangs."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest
import torch

from sweeps.engine.workers import watchdog
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hanging work waits for: no test leaves a thread behind."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "watched":
            thread.join(PATIENCE_S)


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set it where work hangs: the watchdog's time stands still until then, and flies from then on."""
    event = threading.Event()

    def look(futures: list["Future[object]"], timeout: float) -> object:
        while not (seen := wait(futures, timeout=0.01)).done and not event.is_set():
            pass
        return seen

    monkeypatch.setattr(watchdog, "wait", look)
    return event
