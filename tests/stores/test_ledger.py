"""The commit protocol in a store: visible files are complete and never overwritten, even if the writer is killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.ledger.files import read_table
from analysis.ledger.location import StoreError, StorePath, files, folders, locate
from sweeps.engine.ledger.writer import Ledger, check_writable
from sweeps.engine.run.kept.states import KeptStates
from tests.stores.conftest import READER, Server

DATASETS = ("starts", "reports", "trials")


class Killed(BaseException):
    """Stands for a kill: the driver that makes this request goes no further."""


def row(number: int) -> dict[str, object]:
    """A row that fits into any of DATASETS."""
    return {"trial": f"t{number}", "step": number, "metric.psnr_db": 20.0 + number}


@pytest.fixture
def ledger(run: StorePath) -> Iterator[Ledger]:
    with Ledger(run) as ledger:
        yield ledger


def trials(run: StorePath, dataset: str) -> list[str]:
    """The trials that a reader sees in a dataset, of which every file must be readable."""
    table, notes = read_table(run, dataset, ["trial"])
    assert notes == []
    return [] if table is None else table["trial"].to_pylist()


def test_rows_are_the_same_bytes_as_in_a_folder(ledger: Ledger, tmp_path: Path) -> None:
    rows = [row(1), row(2)]
    with Ledger(tmp_path / "run") as local:
        there, here = ledger.commit("trials", rows), local.commit("trials", rows)
    assert isinstance(there, StorePath)
    assert isinstance(here, Path)
    assert there.read().to_pybytes() == here.read_bytes()


def test_invocations_follow_one_another_and_share_no_name(run: StorePath) -> None:
    names, contents = [], {}
    for number in range(3):
        with Ledger(run) as ledger:
            for _ in range(2):
                path = ledger.commit("runs", [{"run": f"r{number}"}])
                assert isinstance(path, StorePath)
                names.append(path.name)
                contents[path] = path.read().to_pybytes()
    assert names == sorted(names)
    assert len(set(names)) == 6
    assert {path: path.read().to_pybytes() for path in files(run / "runs")} == contents


def test_what_does_not_read_back_is_an_error_and_is_gone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.commit("trials", [row(1)])
    with monkeypatch.context() as patch:
        patch.setattr(StorePath, "read", lambda self: pa.py_buffer(b"something else"))
        with pytest.raises(RuntimeError, match="does not read back"):
            ledger.commit("trials", [row(2)])
    assert trials(ledger.root, "trials") == ["t1"]


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_whenever_the_writer_is_killed_a_prefix_of_complete_rows_is_seen(
    before: bool, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is killed before or after each of its requests in turn; then another one continues the run."""
    for kill_at in range(100):
        run, acknowledged = s3.fresh(), []
        with monkeypatch.context() as patch:
            _kill_at(kill_at, before, patch)
            killed = _write(run, acknowledged)
        seen = [name for dataset in DATASETS for name in trials(run, dataset)]
        assert set(acknowledged) <= set(seen) <= {*acknowledged, f"t{len(acknowledged)}"}
        earlier = {path: path.read().to_pybytes() for dataset in DATASETS for path in files(run / dataset)}
        with Ledger(run) as following:
            following.commit("trials", [row(99)])
        assert {path: path.read().to_pybytes() for path in earlier} == earlier
        assert "t99" in trials(run, "trials")
        assert files(run / "_drivers") == []
        if not killed:
            assert len(acknowledged) == 3
            return
    pytest.fail("the writer never came to its end")


def _write(run: StorePath, acknowledged: list[str]) -> bool:
    """Be a driver that makes three commits, one to each dataset; return whether it was killed."""
    try:
        ledger = Ledger(run)
        for number, dataset in enumerate(DATASETS):
            ledger.commit(dataset, [row(number)])
            acknowledged.append(f"t{number}")
        ledger.close()
    except Killed:
        return True
    return False


def _kill_at(request: int, before: bool, patch: pytest.MonkeyPatch) -> None:
    """Kill the driver at the given request to the store, counted from 0; later requests fail too, as it is dead."""
    # The dead driver's process lives on here, and so would its claim.
    patch.setattr("sweeps.engine.ledger.lock._begun", lambda process: "never")
    made = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            nonlocal made
            made += 1
            if made > request + (not before):
                raise Killed
            answer = original(*arguments)
            if made > request:
                raise Killed
            return answer

        return call

    for name in ("files", "read", "write", "remove"):
        patch.setattr(StorePath, name, counted(getattr(StorePath, name)))


def test_who_may_not_write_is_told_so_before_anything_is_computed(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(s3.fresh())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER[1])
    run = locate(str(s3.fresh()))
    with pytest.raises(StoreError, match="access is refused"):
        check_writable(run)


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_whenever_the_writer_is_killed_a_folder_is_complete_or_counts_as_absent(
    before: bool, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark comes last: without it nobody takes the other objects for real. The next driver writes all again."""
    earlier, later = ({"model": number, "card": number, "mark": number} for number in (b"1", b"2"))
    for kill_at in range(100):
        run, killed = s3.fresh(), False
        with Ledger(run) as ledger:
            ledger.commit_folder("weights", "t", earlier, mark="mark")
            with monkeypatch.context() as patch:
                _kill_at(kill_at, before, patch)
                try:
                    ledger.commit_folder("weights", "t", later, mark="mark")
                except Killed:
                    killed = True
            there = {path.name: path.read().to_pybytes() for path in files(run / "weights" / "t")}
            assert there in (earlier, later) or "mark" not in there
            ledger.commit_folder("weights", "t", later, mark="mark")
            assert {path.name: path.read().to_pybytes() for path in files(run / "weights" / "t")} == later
            assert folders(run / "weights") == [run / "weights" / "t"]
        if not killed:
            assert kill_at > 5
            return
    pytest.fail("the writer never came to its end")


def test_checkpoints_in_a_store_are_written_found_and_removed(ledger: Ledger) -> None:
    states = KeptStates(ledger)
    for step in (20, 40, 60):
        states.keep("t", step, f"state {step}".encode())
    assert [path.name[:12] for path in files(ledger.root / "states" / "t")] == ["000000000040", "000000000060"]
    assert states.newest("t", (20, 40, 60, 80), (20, 40, 60)) == b"state 60"
    assert states.newest("t", (20, 40, 60, 80), (20, 40)) == b"state 40"
    states.keep("other", 20, b"of a trial that has ended")
    assert [folder.name for folder in folders(ledger.root / "states")] == ["other", "t"]
    states.drop_all_but(["t"])
    assert files(ledger.root / "states" / "other") == []
    states.drop("t")
    assert files(ledger.root / "states" / "t") == []
