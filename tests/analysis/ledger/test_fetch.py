"""Fetched ledgers: complete, copied once, fetched while they grow, never overwriting; packing keeps every row."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from analysis.__main__ import main
from analysis.ledger import fetch as module
from analysis.ledger.fetch import fetch
from analysis.ledger.load import LedgerError, load
from analysis.ledger.schema import VERSION, VERSION_KEY
from tests.analysis.written_ledgers import report_row, run_row, sweep_rows, trial_row, write_rows, write_run

TABLES = ("runs", "trials", "reports", "starts", "costs")


def part(number: int, invocation: int = 1) -> str:
    return f"part-{invocation:05d}-5eed5eed-{number:07d}.parquet"


def commit_each(run: Path, first: int, count: int, **changes: object) -> None:
    """As a sweep does: a file for the start, two reports and the ending of each of `count` trials, from `first` on."""
    for number in range(first, first + count):
        row = trial_row(number, 20 + number / 7, **changes)
        start = {name: row[name] for name in ("trial", "number", "configuration", "seed")} | {
            "started": row["time.started"]
        }
        write_rows(run / "starts" / part(4 * number), [start])
        for rung in (1, 2):
            write_rows(run / "reports" / part(4 * number + rung), [report_row(number, 300 * rung, 19 + rung, 0.9)])
        write_rows(run / "trials" / part(4 * number + 3), [row])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of twelve trials; the second half has one more leaf, as another family of networks has."""
    found = tmp_path / "run"
    write_rows(found / "runs" / part(1), [run_row()])
    commit_each(found, 0, 6)
    commit_each(found, 6, 6, **{"config.net.blocks": 3})
    (found / "_drivers").mkdir()
    (found / "_drivers" / "000001-a.json").write_text("{}")
    (found / ".lock").write_text("process 1 on darkroom")
    (found / "trials" / f".{part(99)}.tmp").write_bytes(b"half a file")
    (found / "optuna.journal").write_text("{}\n")
    return found


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a ledger, but for locks."""
    found = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in found}


def assert_same(one: Path, other: Path) -> None:
    """Two ledgers say the same, row by row, column by column, and no reader has a complaint."""
    a, b = load(one), load(other)
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(a, table), getattr(b, table), check_exact=True)
    assert a.objectives == b.objectives
    assert a.notes == b.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_what_is_fetched_is_the_same_ledger_and_the_source_is_untouched(
    compact: bool, run: Path, tmp_path: Path
) -> None:
    before, home = contents(run), tmp_path / "home"
    done = fetch(run, home, compact=compact)
    assert done.files == {"runs": 1, "starts": 12, "reports": 24, "trials": 12}
    assert done.size_bytes == sum(len(data) for name, data in before.items() if Path(name).name.startswith("part-"))
    assert_same(run, home)
    assert contents(run) == before
    here = contents(home)
    if compact:
        assert len(here) == 4
        assert sum(map(len, here.values())) < done.size_bytes / 4
    else:
        assert here == {name: data for name, data in before.items() if Path(name).name.startswith("part-")}


@pytest.mark.slow
@pytest.mark.parametrize("compact", [False, True])
def test_again_brings_what_is_new_and_nothing_twice(compact: bool, run: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    fetch(run, home, compact=compact)
    first = contents(home)
    again = fetch(run, home, compact=compact)
    assert (again.files, again.there) == ({}, 49)
    assert contents(home) == first
    commit_each(run, 12, 3)
    write_rows(run / "runs" / part(1, invocation=2), [run_row(run="run1")])
    third = fetch(run, home, compact=not compact)  # either way knows what the other has brought
    assert (third.files, third.there) == ({"runs": 1, "starts": 3, "reports": 6, "trials": 3}, 49)
    assert first.items() <= contents(home).items()
    assert_same(run, home)


@pytest.mark.slow
def test_a_copy_of_a_copy_is_one(run: Path, tmp_path: Path) -> None:
    fetch(run, tmp_path / "one", compact=True)
    fetch(tmp_path / "one", tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    commit_each(run, 12, 1)
    fetch(run, tmp_path / "two")  # knows the parts of what the other copy has packed
    assert_same(run, tmp_path / "two")
    fetch(run, tmp_path / "three")
    assert fetch(tmp_path / "one", tmp_path / "three").files == {}
    assert_same(run, tmp_path / "three")


def test_packed_files_are_read_by_pandas_polars_and_duckdb(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    fetch(run, home, compact=True)
    whole = load(run).trials
    (path,) = (home / "trials").iterdir()
    assert pq.read_schema(path).metadata[VERSION_KEY] == VERSION.encode()
    order = whole["trial"].tolist()
    assert pd.read_parquet(home / "trials")["trial"].tolist() == order
    assert pl.scan_parquet(f"{home}/trials/*.parquet").collect()["trial"].to_list() == order
    blocks = duckdb.sql(f"""select "config.net.blocks" from '{home}/trials/*.parquet'""").fetchall()
    assert [value for (value,) in blocks] == [None] * 6 + [3] * 6


@pytest.mark.slow
def test_large_datasets_are_packed_into_several_files(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACK_BYTES", 100_000)
    fetch(run, tmp_path / "home", compact=True)
    assert 1 < len(list((tmp_path / "home" / "trials").iterdir())) < 12
    assert_same(run, tmp_path / "home")


@pytest.mark.parametrize("after", range(0, 49, 6))
@pytest.mark.slow
def test_a_killed_fetch_leaves_a_ledger_and_can_be_continued(
    after: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is killed, no row refers to a missing one, and the next fetch brings the rest."""
    publish_file, made, home = module.publish_file, [], tmp_path / "home"

    def killed(final: Path) -> object:
        made.append(final)
        if len(made) > after:
            final.with_name(f".{final.name}.tmp").write_bytes(b"half a file")
            raise KeyboardInterrupt
        return publish_file(final)

    with monkeypatch.context() as patch:
        patch.setattr(module, "publish_file", killed)
        patch.setattr(module, "REQUESTS", 1)
        with pytest.raises(KeyboardInterrupt):
            fetch(run, home)
    seen = {name: pd.read_parquet(path) for name in TABLES if list((path := home / name).glob("[!.]*"))}
    for table in {"trials", "reports"} & seen.keys():
        assert set(seen[table]["trial"]) <= set(seen["starts"]["trial"])
    if "trials" in seen:
        assert len(seen["reports"]) == 24
    assert fetch(run, home).there == after
    assert not list(home.rglob(".*.tmp"))
    assert_same(run, home)


@pytest.mark.slow
def test_a_run_that_goes_on_while_it_is_fetched_is_whole_at_every_moment(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another trial is committed after each dataset is listed: what was listed before is all that is brought."""
    listed, trials = module._listed, iter(range(12, 99))

    def then_more(folder: Path) -> object:
        found = listed(folder)
        commit_each(run, next(trials), 1)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, "_listed", then_more)
        fetch(run, tmp_path / "home")
    ledger = load(tmp_path / "home")
    assert len(ledger.trials) == 12
    assert set(ledger.trials["trial"]) < set(ledger.starts["trial"])
    assert set(ledger.reports["trial"]) < set(ledger.starts["trial"])
    assert (ledger.reports.groupby("trial").size()[ledger.trials["trial"]] == 2).all()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.write_bytes(bytes(data))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped])
@pytest.mark.parametrize("compact", [False, True])
def test_what_is_damaged_in_the_run_is_named_and_left_out_and_all_else_is_brought(
    damage: Callable[[Path], None],
    compact: bool,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run / "trials" / part(4 * 5 + 3)
    good = path.read_bytes()
    damage(path)
    bad, command = path.read_bytes(), ["fetch", str(run), str(tmp_path / "home"), *["--compact"] * compact]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"note: {path} is unreadable (" in said
    assert f"analysis: 1 file of {run} is unreadable" in said
    assert path.read_bytes() == bad  # nothing of the run is touched
    assert len(load(tmp_path / "home").trials) == 11
    path.write_bytes(good)
    assert main(command) == 0
    assert "fetched 1 file, " in capsys.readouterr().out
    assert set(load(tmp_path / "home").trials["trial"]) == set(load(run).trials["trial"])


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped])
@pytest.mark.parametrize("compact", [False, True])
def test_a_damaged_copy_never_counts(damage: Callable[[Path], None], compact: bool, run: Path, tmp_path: Path) -> None:
    """As an interrupted copy by other means leaves it: it is put aside, and brought again."""
    home = tmp_path / "home"
    fetch(run, home, compact=compact)
    path = sorted((home / "reports").iterdir())[-1]
    damage(path)
    bad = path.read_bytes()
    done = fetch(run, home, compact=compact)
    assert done.files == {"reports": 24 if compact else 1}
    assert "was put aside as _quarantine/" in done.notes[0]
    (aside,) = (home / "_quarantine").iterdir()
    assert aside.read_bytes() == bad
    aside.unlink()
    assert_same(run, home)


def other_run(home: Path) -> str:
    trials, reports = sweep_rows(3, seed=1)
    write_run(home, trials, reports, [run_row(run="another")])
    return "holds another run (another, not run0)"


def gone_on(home: Path) -> str:
    write_rows(home / "runs" / part(1), [run_row()])
    write_rows(home / "runs" / part(1, invocation=2), [run_row(run="later")])
    return "does not have its invocation"


def photographs(home: Path) -> str:
    home.mkdir()
    (home / "holiday.jpg").write_bytes(b"sun")
    return "holds holiday.jpg, and no ledger"


def trials_alone(home: Path) -> str:
    write_rows(home / "trials" / part(1), [trial_row(1)])
    return "holds trials, and no ledger"


def of_equal_name(home: Path) -> str:
    write_rows(home / "runs" / part(1), [run_row()])
    write_rows(home / "trials" / part(3), [trial_row(0, reason="another one")])
    return "it belongs to another run"


def a_file(home: Path) -> str:
    home.write_text("no folder")
    return "is not a folder"


FOLDERS = (other_run, gone_on, photographs, trials_alone, of_equal_name, a_file)


@pytest.mark.parametrize("made", FOLDERS, ids=lambda made: made.__name__)
def test_a_folder_of_something_else_is_refused_and_stays_as_it_is(
    made: Callable[[Path], str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    sentence = made(home)
    before = contents(home) if home.is_dir() else home.read_text()
    assert main(["fetch", str(run), str(home)]) == 2
    assert sentence in capsys.readouterr().err
    assert before == (contents(home) if home.is_dir() else home.read_text())


def test_a_folder_that_somebody_writes_to_is_refused(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    fetch(run, home)
    with (home / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LedgerError, match="another process is writing to"):
            fetch(run, home)


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", str(tmp_path), str(tmp_path / "home")]) == 2
    assert f"there is no ledger in {tmp_path}: none of " in capsys.readouterr().err
    assert main(["fetch", str(run), str(run)]) == 2
    assert "is the run itself" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fetch", str(run), "s3x://there/run"])
    write_rows(run / "trials" / part(98), [trial_row(98)], version="7")
    assert main(["fetch", str(run), str(tmp_path / "home")]) == 2
    assert f"{part(98)} has ledger schema version '7'; this reader knows 1" in capsys.readouterr().err
    assert not list((tmp_path / "home").rglob(".*.tmp"))
