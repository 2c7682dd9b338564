"""Runs that go on with gaps in their ledger: a driver was killed between two commits, or a disk has damaged a file."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.ledger.files import QUARANTINE, read_table
from analysis.ledger.schema import DATASETS
from sweeps.engine.command import run
from tests.sweeps.engine.pretended import small_sweep

HERE = ["--workers", "0", "--set", "train.val_images=2", "--trials", "3", "--steps", "9", "--samples", "1"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run that has come to its end."""
    assert go_on(tmp_path / "run") == 0
    return tmp_path / "run"


def go_on(out: Path, *options: str) -> int:
    return run(small_sweep(), [*HERE, "--reproducible", *options, "--out", str(out)])


def keys(out: Path, dataset: str) -> Counter[tuple[object, ...]]:
    """How often each key is in the files of a dataset."""
    key = list(DATASETS[dataset].key)
    table, notes = read_table(out, dataset, key)
    assert notes == []
    return Counter(tuple(row.values()) for row in table.select(key).to_pylist()) if table is not None else Counter()


def every_key(out: Path) -> dict[str, Counter[tuple[object, ...]]]:
    return {dataset: keys(out, dataset) for dataset in ("starts", "samples", "reports", "trials")}


def part_with(out: Path, dataset: str, **values: object) -> Path:
    """The file of the row that has these values."""
    for path in sorted((out / dataset).glob("part-*")):
        row = pq.read_table(path).to_pylist()[0]
        if all(row[name] == value for name, value in values.items()):
            return path
    raise AssertionError(f"{dataset} has no row with {values}")


def damage(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: len(whole) // 2] + b"teststrip.schema")


def completed(out: Path) -> str:
    return str(pq.read_table(part_with(out, "trials", ending="completed")).to_pylist()[0]["trial"])


@pytest.mark.slow
def test_samples_whose_report_was_not_written_are_not_written_twice(out: Path) -> None:
    whole, trial = every_key(out), completed(out)
    part_with(out, "trials", trial=trial).unlink()
    part_with(out, "reports", trial=trial, step=9).unlink()
    assert go_on(out) == 0
    assert every_key(out) == whole


@pytest.mark.slow
def test_of_a_trial_whose_start_was_damaged_its_ending_counts(out: Path) -> None:
    whole, trial = every_key(out), completed(out)
    damage(part_with(out, "starts", trial=trial))
    assert go_on(out) == 0
    assert every_key(out) == {**whole, "starts": whole["starts"] - Counter([(trial,)])}
    assert len(list((out / QUARANTINE).iterdir())) == 1


@pytest.mark.slow
def test_reports_of_a_trial_whose_start_was_damaged_are_not_written_twice(out: Path) -> None:
    whole, trial = every_key(out), completed(out)
    part_with(out, "trials", trial=trial).unlink()
    damage(part_with(out, "starts", trial=trial))
    assert go_on(out) == 0
    assert every_key(out) == whole


@pytest.mark.slow
def test_where_no_invocation_can_be_read_the_trials_count(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = every_key(out)
    damage(next((out / "runs").glob("part-*")))
    capsys.readouterr()
    assert go_on(out) == 0
    assert f"no readable file in {out / 'runs'}" in " ".join(capsys.readouterr().out.split())
    assert every_key(out) == whole


@pytest.mark.slow
def test_where_no_invocation_can_be_read_another_question_is_refused(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(next((out / "runs").glob("part-*")))
    assert go_on(out, "--set", "net.channels=8") == 2
    said = capsys.readouterr().err
    assert "holds a run that this command cannot continue" in said
    assert "Traceback" not in said
