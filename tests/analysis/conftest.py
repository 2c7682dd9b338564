"""A fixture that writes small ledgers, as spelled out in `written_ledgers`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.analysis.written_ledgers import Row, write_run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a ledger into a fresh folder and returns the folder."""

    def into_fresh_folder(
        trials: Sequence[Row],
        reports: Sequence[Row] = (),
        runs: Sequence[Row] | None = None,
        costs: Sequence[Row] = (),
        name: str = "run",
    ) -> Path:
        return write_run(tmp_path / name, trials, reports, runs, costs)

    return into_fresh_folder
