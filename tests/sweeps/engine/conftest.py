"""Fixtures of the engine's tests; what they are made of stands in `pretended.py`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analysis.ledger.location import Location
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.sweep import Sweep
from tests.sweeps.engine.pretended import small_sweep


@pytest.fixture
def sweep() -> Sweep:
    return small_sweep()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "run")


@pytest.fixture(autouse=True)
def no_ledger_is_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests end like killed drivers do: their locks go with them."""
    opened: list[Ledger] = []
    original = Ledger.__init__

    def remembering(self: Ledger, root: Location, *notice: Callable[[str], None]) -> None:
        original(self, root, *notice)
        opened.append(self)

    monkeypatch.setattr(Ledger, "__init__", remembering)
    yield
    for ledger in opened:
        ledger.close()
