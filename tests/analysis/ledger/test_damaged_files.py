"""Damaged and foreign files of a ledger are skipped and reported; the rest is read. Only a driver moves any."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.ledger import files
from analysis.ledger.files import put_aside, read_table
from analysis.ledger.load import LedgerError, load
from tests.analysis.written_ledgers import cost_row, report_row, trial_row, write_rows

Write = Callable[..., Path]


@pytest.fixture(autouse=True, params=[files.WHOLE_BYTES, 0], ids=["whole files", "column by column"])
def _whole_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for small files, which are read whole, and for large ones."""
    monkeypatch.setattr(files, "WHOLE_BYTES", request.param)


def test_temporaries_are_ignored_and_left_in_place(write: Write) -> None:
    run = write([trial_row(0)])
    whole = (run / "trials" / "0001.parquet").read_bytes()
    for name in (".0002.parquet", "0003.parquet.tmp"):
        (run / "trials" / name).write_bytes(whole[: len(whole) // 2])
    ledger = load(run)
    assert len(ledger.trials) == 1
    assert ledger.notes == ()
    assert {path.name for path in (run / "trials").iterdir()} == {".0002.parquet", "0003.parquet.tmp", "0001.parquet"}


def second_file(run: Path) -> Path:
    return write_rows(run / "trials" / "0002.parquet", [trial_row(number) for number in range(1, 5)])


def hold_and_read(run: Path) -> list[str]:
    """What a driver that holds the run is told of its damaged files."""
    return read_table(run, "trials", ["trial"], refuse=put_aside)[1]


def quarantine(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "_quarantine").iterdir())


@pytest.mark.parametrize("length", [0, 3, 200, -1])
def test_a_truncated_file_is_skipped_with_a_message(write: Write, length: int) -> None:
    run = write([trial_row(0)])
    path = second_file(run)
    damaged = path.read_bytes()[:length]
    path.write_bytes(damaged)
    ledger = load(run)
    assert len(ledger.trials) == 1
    (note,) = ledger.notes
    assert note.startswith("trials/0002.parquet is unreadable (")
    assert note.endswith("was skipped")
    assert path.read_bytes() == damaged
    assert not (run / "_quarantine").exists()


def test_the_driver_puts_its_own_damaged_file_aside(write: Write) -> None:
    run = write([trial_row(0)])
    path = second_file(run)
    damaged = changed_unseen(path)
    path.write_bytes(damaged)
    (note,) = hold_and_read(run)
    assert note.endswith("put aside as _quarantine/trials-0002.parquet")
    assert not path.exists()
    assert (run / "_quarantine" / "trials-0002.parquet").read_bytes() == damaged


@pytest.mark.parametrize("content", [b"", b"not Parquet at all", None])
def test_what_others_wrote_stays_where_it_is_even_for_the_driver(write: Write, content: bytes | None) -> None:
    run = write([trial_row(0)])
    path = run / "trials" / "mydata.parquet"
    if content is None:
        pq.write_table(pa.table({"trial": ["mine"], "x": [1.0]}), path)
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    for notes in (load(run).notes, tuple(hold_and_read(run))):
        (note,) = notes
        assert note.startswith("trials/mydata.parquet is unreadable (")
        assert "was skipped" in note
    assert path.read_bytes() == before
    assert not (run / "_quarantine").exists()


def test_one_flipped_bit_in_the_values_is_found(write: Write) -> None:
    run = write([trial_row(0)])
    path = second_file(run)
    path.write_bytes(changed_unseen(path))
    ledger = load(run)
    assert len(ledger.trials) == 1
    assert "trials/0002.parquet is unreadable" in ledger.notes[0]
    assert path.exists()


def test_damage_that_shows_only_when_a_column_is_read_is_logged_and_noted(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    run = write([trial_row(0)], [report_row(0, 150, 19.0, 0.8)])
    path = write_rows(run / "reports" / "0002.parquet", [report_row(0, step, 20.0, 0.8) for step in (300, 450)])
    path.write_bytes(changed_unseen(path))
    ledger = load(run)
    assert ledger.notes == ()
    assert list(ledger.reports["step"]) == [150]
    (note,) = ledger.notes
    assert note.startswith("reports/0002.parquet is unreadable")
    assert [record.getMessage() for record in caplog.records] == [note]
    assert path.exists()


def changed_unseen(path: Path) -> bytes:
    """The file with one flipped bit, such that a reader that checks no checksum gets another PSNR and no error."""
    whole = path.read_bytes()
    original = pq.read_table(path)["metric.psnr_db"]
    group = pq.ParquetFile(path).metadata.row_group(0)
    names = [group.column(index).path_in_schema for index in range(group.num_columns)]
    chunk = group.column(names.index("metric.psnr_db"))
    for position in range(chunk.dictionary_page_offset, chunk.data_page_offset):
        damaged = bytearray(whole)
        damaged[position] ^= 4
        try:
            values = pq.read_table(pa.BufferReader(bytes(damaged)))["metric.psnr_db"]
        except (pa.ArrowException, OSError):
            continue
        if not values.equals(original):
            return bytes(damaged)
    raise AssertionError("every flipped bit was an error")


@pytest.mark.slow
def test_no_flipped_bit_anywhere_changes_a_row_unseen(tmp_path: Path) -> None:
    """The footer has no checksum, so this goes through it byte by byte: same rows, or refused, or skipped."""
    columns = ("trial", "metric.psnr_db", "time.ended")
    rows = [{name: trial_row(number)[name] for name in columns} for number in range(3)]
    path = write_rows(tmp_path / "trials" / "0001.parquet", rows)
    whole = path.read_bytes()
    original, _ = read_table(tmp_path, "trials", ["trial"])
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    seen = {"same": 0, "found": 0}
    for position in range(footer, len(whole)):
        for bit in {1, position % 8}:
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(bytes(damaged))
            seen[outcome(tmp_path, original)] += 1
    assert seen["found"] > seen["same"] / 2 > 0


def outcome(run: Path, original: object) -> str:
    try:
        table, notes = read_table(run, "trials", ["trial"])
    except LedgerError as error:
        return "found" if "schema version" in str(error) else str(error)
    if table is None:
        assert len(notes) == 1
        return "found"
    assert table.equals(original)
    return "same"


def test_where_nothing_can_be_moved_the_file_is_skipped_with_a_message(write: Write) -> None:
    run = write([trial_row(0)])
    path = second_file(run)
    path.write_bytes(changed_unseen(path))
    (run / "_quarantine").write_text("a file where the folder should be")
    (note,) = hold_and_read(run)
    assert "was skipped; it could not be moved: File exists" in note
    assert path.exists()


def test_what_was_put_aside_is_recalled_and_never_overwritten(write: Write) -> None:
    run = write([trial_row(0)])
    for content in (b"first teststrip.schema", b"second teststrip.schema"):
        (run / "trials" / "0002.parquet").write_bytes(content)
        hold_and_read(run)
    assert quarantine(run) == ["trials-0002.parquet", "trials-0002.parquet.2"]
    (note,) = load(run).notes
    assert "_quarantine holds 2 files put aside earlier; their rows are missing" in note


def test_a_file_without_a_version_is_no_ledger_file(write: Write) -> None:
    run = write([trial_row(0)])
    write_rows(run / "trials" / "0002.parquet", [trial_row(1)], version=None)
    assert "no teststrip.schema version" in load(run).notes[0]


def test_a_damaged_file_of_costs_is_skipped_with_a_message(write: Write) -> None:
    net = {"family": "resnet", "kernel": 3, "channels": 16}
    run = write([trial_row(0)], costs=[cost_row(net, 0.25)])
    path = write_rows(run / "costs" / "0002.parquet", [cost_row({**net, "channels": 8}, 0.1)])
    path.write_bytes(path.read_bytes()[:200])
    ledger = load(run)
    assert ledger.costs["cost.latency_ratio"].tolist() == [0.25]
    assert ledger.notes[0].startswith("costs/0002.parquet is unreadable")
    assert path.exists()
