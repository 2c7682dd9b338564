"""Data, threads, and an end to whatever hangs."""

import threading
from collections.abc import Iterator

import pytest
import torch

from enhance.data import PatchStore, open_data


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hanging work waits for: no test leaves a thread behind."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "watched":
            thread.join(10)
