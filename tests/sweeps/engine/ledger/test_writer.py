"""The ledger's commit protocol: visible files are complete, nothing is overwritten, one writer at a time."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from analysis.ledger.files import read_table
from analysis.ledger.schema import VERSION, VERSION_KEY
from sweeps.engine.ledger.writer import Ledger, LedgerBusy, to_table
from tests.patience import PATIENCE_S

ROW = {
    "trial": "a",
    "seed": 1,
    "metric.psnr_db": 20.0,
    "ending": "completed",
    "started": datetime(2020, 1, 1, tzinfo=UTC),
}


def test_a_committed_row_is_read_by_pandas_polars_and_duckdb(ledger: Ledger) -> None:
    path = ledger.commit("trials", [ROW, {**ROW, "trial": "b"}])
    pattern = str(path.parent / "*.parquet")
    assert list(pd.read_parquet(path.parent)["trial"]) == ["a", "b"]
    assert pl.read_parquet(pattern)["metric.psnr_db"].to_list() == [20.0, 20.0]
    assert duckdb.sql(f"""select "trial", "seed" from '{pattern}' order by 1""").fetchall() == [("a", 1), ("b", 1)]


def test_files_carry_checksums_and_the_schema_version(ledger: Ledger) -> None:
    path = ledger.commit("trials", [ROW])
    assert pq.read_schema(path).metadata[VERSION_KEY] == VERSION.encode()
    table, notes = read_table(ledger.root, "trials", ["trial"])
    assert table is not None
    assert notes == []
    damaged = bytearray(path.read_bytes())
    at = damaged.index(b"completed") if b"completed" in damaged else 40
    damaged[at] ^= 1
    path.write_bytes(damaged)
    _, notes = read_table(ledger.root, "trials", ["trial"])
    assert len(notes) == 1


def test_column_types_follow_from_names_so_that_files_always_fit_together() -> None:
    whole = to_table([{"metric.psnr_db": 20.0, "cost.parameters": 5}])
    empty = to_table([{"metric.psnr_db": None, "cost.parameters": None}])
    assert whole.schema == empty.schema
    with pytest.raises(TypeError, match="'ending' must hold values of one kind"):
        to_table([{"ending": "completed"}, {"ending": 3}])


def test_nothing_is_visible_of_a_commit_that_fails(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    ledger.commit("trials", [ROW])
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        ledger.commit("trials", [{**ROW, "trial": "b"}])
    assert [path.name for path in (ledger.root / "trials").iterdir()] == [
        path.name for path in (ledger.root / "trials").glob("part-*.parquet")
    ]
    table, _ = read_table(ledger.root, "trials", ["trial"])
    assert table is not None
    assert table["trial"].to_pylist() == ["a"]


def test_an_existing_file_is_never_overwritten(ledger: Ledger) -> None:
    path = ledger.commit("trials", [ROW])
    before = path.read_bytes()
    ledger._sequence -= 1
    with pytest.raises(FileExistsError):
        ledger.commit("trials", [{**ROW, "trial": "b"}])
    assert path.read_bytes() == before


def test_a_second_driver_is_refused_while_the_first_lives_and_not_after(ledger: Ledger) -> None:
    with pytest.raises(LedgerBusy, match=f"process {os.getpid()} on"):
        Ledger(ledger.root)
    ledger.close()
    Ledger(ledger.root).close()


def test_the_lock_of_a_killed_driver_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from sweeps.engine.ledger.writer import Ledger;"
        "Ledger(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False, timeout=PATIENCE_S)
    Ledger(tmp_path / "run").close()


def test_later_invocations_sort_after_earlier_ones(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        with Ledger(tmp_path) as ledger:
            ledger.commit("runs", [{"run": "r"}])
            names += [ledger.commit("trials", [ROW]).name, ledger.commit("trials", [ROW]).name]
    assert names == sorted(names)


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    leftover = tmp_path / "trials" / ".part-00001-x-0000001.parquet.tmp"
    leftover.write_bytes(b"half")
    Ledger(tmp_path).close()
    assert not leftover.exists()


def test_the_names_of_new_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power failure may otherwise lose the folder of an acknowledged file."""
    synced: set[str] = set()
    fsync = os.fsync

    def note(number: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{number}"))
        fsync(number)

    monkeypatch.setattr(os, "fsync", note)
    root = tmp_path / "runs" / "run"
    Ledger(root).close()
    assert {str(tmp_path), str(root.parent), str(root)} <= synced
    synced.clear()
    Ledger(root).close()
    assert {str(root.parent), str(root)} <= synced  # the one before may have been killed before it did so
