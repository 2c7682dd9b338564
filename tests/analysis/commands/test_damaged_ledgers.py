"""Every command reports a damaged ledger in one sentence; new commands are tested once they are listed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.commands import COMMANDS
from tests.analysis.written_ledgers import lost_row, report_row, run_row, sweep_rows, trial_row, write_rows, write_run


def ordinary(run: Path) -> None:
    trials, reports = sweep_rows(30, seed=3)
    write_run(run, trials, reports, [run_row()])


def with_second_file(run: Path) -> Path:
    ordinary(run)
    return write_rows(run / "trials" / "0002.parquet", [trial_row(number) for number in range(100, 140)])


def unreadable(run: Path) -> str:
    with_second_file(run).write_bytes(b"no longer Parquet")
    return "trials/0002.parquet is unreadable"


def truncated(run: Path) -> str:
    path = with_second_file(run)
    path.write_bytes(path.read_bytes()[:-100])
    return "trials/0002.parquet is unreadable"


def flipped(run: Path) -> str:
    path = with_second_file(run)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 4] ^= 4
    path.write_bytes(bytes(damaged))
    return "trials/0002.parquet is unreadable"


def unknown_version(run: Path) -> str:
    ordinary(run)
    write_rows(run / "trials" / "0002.parquet", [trial_row(100)], version="7")
    return "0002.parquet has ledger schema version '7'; this reader knows 1"


def empty_folder(run: Path) -> str:
    run.mkdir()
    return f"there is no ledger in {run}"


def nothing_ended(run: Path) -> str:
    write_run(run, [trial_row(0)], [], [run_row()])
    (run / "trials" / "0001.parquet").unlink()
    return f"no trial of {run} has ended yet (1 started)"


def one_trial(run: Path) -> str:
    write_run(run, [trial_row(0)], [report_row(0, 600, 20.0, 0.9)], [run_row()])
    return ""


def all_diverged(run: Path) -> str:
    write_run(run, [lost_row(number) for number in range(4)], [], [run_row()])
    return ""


OF_TWO = ("compare",)
"""Commands that take two runs: a damaged one beside itself."""

LEDGERS = (unreadable, truncated, flipped, unknown_version, empty_folder, nothing_ended, one_trial, all_diverged)


READING = [command for command in COMMANDS if command != "fetch"]  # which only copies: test_fetch.py


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("wrong", LEDGERS, ids=lambda wrong: wrong.__name__)
@pytest.mark.slow
def test_every_command_says_what_is_wrong(
    command: str, wrong: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    sentence = wrong(run)
    code = main([command, str(run), *([str(run)] if command in OF_TWO else [])])
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert code in (0, 2)
    if code == 2:
        assert printed.out == ""
        *notes, last = printed.err.splitlines()
        assert last.startswith("analysis: ")
        assert all(note.startswith("note: ") for note in notes)
    else:
        assert printed.out.strip()
