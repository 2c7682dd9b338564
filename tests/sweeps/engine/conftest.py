"""Fixtures of the engine's tests, built from `pretended.py`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.sweep import Sweep
from tests.sweeps.engine.pretended import OPEN_LEDGERS, small_sweep


@pytest.fixture
def sweep() -> Sweep:
    return small_sweep()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "run") as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def ledgers_are_closed() -> Iterator[None]:
    """What `open_ledger` opened in a test, its end closes, as a driver's end would."""
    with OPEN_LEDGERS:
        yield


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's environment, with a cache of the data of its own."""
    return {**os.environ, "TESTSTRIP_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}
