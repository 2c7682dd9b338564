"""Runs in S3 and GCS are read like those in folders, and a store's refusals become one-sentence errors."""

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from analysis.__main__ import main
from analysis.ledger.files import LedgerError, put_aside, read_table
from analysis.ledger.load import load
from analysis.ledger.location import LocationError, StoreError, StorePath, files, locate
from tests.analysis.written_ledgers import trial_row, write_run
from tests.ports import free_ports
from tests.stores.conftest import BUCKET, READER, Server


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A small ledger in a folder."""
    return write_run(tmp_path / "run", [trial_row(number, 20 + number, 0.9 - 0.01 * number) for number in range(6)])


def upload(folder: Path, run: StorePath) -> StorePath:
    """Copy a ledger from a folder into a store."""
    for path in folder.rglob("*.parquet"):
        (run / str(path.relative_to(folder))).write(path.read_bytes())
    return run


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3a://bucket/run", "s3a:// is not known; .* a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"),
        ("s3:///run", "names no bucket"),
        ("gs://", "names no bucket"),
        ("s3://bucket/run?region=eu-north-1", "no settings, keys or escapes"),
        ("s3://key:secret@bucket/run", "no settings, keys or escapes"),
        ("s3://bucket/a//b", "no settings, keys or escapes"),
    ],
)
def test_an_address_that_names_no_place_is_refused(address: str, words: str) -> None:
    with pytest.raises(LocationError, match=words.replace("?", r"\?")):
        locate(address)


def test_what_is_no_address_is_a_folder(tmp_path: Path) -> None:
    assert locate("runs/a") == Path("runs/a")
    assert locate(tmp_path) == tmp_path


def test_an_object_is_written_listed_read_moved_and_removed(run: StorePath) -> None:
    one = run / "trials" / "b.parquet"
    assert files(run / "trials") == []
    one.write(b"12345")
    (run / "trials" / "a.parquet").write(b"")
    (run / "trials" / "below" / "c.parquet").write(b"")
    assert [str(path) for path in files(run / "trials")] == [f"{run}/trials/a.parquet", f"{run}/trials/b.parquet"]
    assert one.read().to_pybytes() == b"12345"
    one.move(run / "_quarantine" / "b")
    assert (run / "_quarantine" / "b").read().to_pybytes() == b"12345"
    assert [path.name for path in files(run / "trials")] == ["a.parquet"]
    with pytest.raises(StoreError, match=f"{one}: it does not exist"):
        one.read()
    one.remove()
    assert (one.parent.parent, one.relative_to(run), one.bucket) == (run, "trials/b.parquet", BUCKET)


def test_a_ledger_in_a_store_is_the_one_in_a_folder(local: Path, run: StorePath) -> None:
    here, there = load(local), load(upload(local, run))
    for name in ("trials", "reports", "runs", "starts", "costs"):
        pd.testing.assert_frame_equal(getattr(here, name), getattr(there, name))
    assert (here.objectives, here.notes, str(there.path)) == (there.objectives, there.notes, str(run))


@pytest.mark.slow
def test_figures_go_beside_the_run_or_home(
    local: Path, run: StorePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = upload(local, run / local.name)  # a run goes by its folder's name, in the figure's numbers too
    assert main(["frontier", str(local), "--out", str(tmp_path / "local")]) == 0
    assert main(["frontier", str(stored), "--out", str(tmp_path / "home")]) == 0
    assert main(["frontier", str(stored)]) == 0
    assert f"{stored}/analysis/frontier.parquet" in capsys.readouterr().out
    for name in ("frontier.png", "frontier.svg", "frontier.parquet"):
        expected = (tmp_path / "local" / name).read_bytes()
        assert (tmp_path / "home" / name).read_bytes() == expected
        assert (stored / "analysis" / name).read().to_pybytes() == expected


def test_a_damaged_object_is_skipped_and_put_aside_by_the_driver(local: Path, run: StorePath) -> None:
    upload(local, run)
    damaged = b"PAR1 teststrip.schema"
    (run / "trials" / "9999.parquet").write(damaged)
    ledger = load(run)
    assert len(ledger.trials) == 6
    assert len(ledger.notes) == 1
    assert "trials/9999.parquet is unreadable" in ledger.notes[0]
    assert "was skipped" in ledger.notes[0]
    _, notes = read_table(run, "trials", ["trial"], refuse=put_aside)
    assert "was put aside as _quarantine/trials-9999.parquet" in notes[0]
    assert (run / "_quarantine" / "trials-9999.parquet").read().to_pybytes() == damaged
    assert load(run).notes == (f"{run}/_quarantine holds 1 file put aside earlier; its rows are missing",)


def test_who_may_only_read_skips_a_damaged_object_and_says_so(
    local: Path, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = upload(local, s3.fresh())
    (run / "trials" / "9999.parquet").write(b"PAR1 is not enough")
    _become(*READER, monkeypatch)
    ledger = load(str(run))
    assert len(ledger.trials) == 6
    assert "was skipped" in ledger.notes[0]
    assert [path.name for path in files(locate(run) / "trials")] == ["0001.parquet", "9999.parquet"]


def test_a_store_that_fails_is_no_damage(local: Path, run: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(local, run)

    def fail(self: StorePath) -> None:
        raise StoreError(f"{self}: the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(StorePath, "read", fail)
        with pytest.raises(LedgerError, match="the store does not answer"):
            load(run)
    assert files(run / "_quarantine") == []
    assert load(run).notes == ()


def _become(name: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the store as another user."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


@pytest.mark.parametrize(
    ("changes", "address", "words"),
    [
        ({}, f"s3://{BUCKET}/nothing", "there is no ledger in"),
        ({}, "s3://no-such-bucket/run", "there is no bucket no-such-bucket; create it"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, f"s3://{BUCKET}/run", "access is refused"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, f"s3://{BUCKET}/run", "access is refused"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, f"s3://{BUCKET}/run", "access is refused"),
        ({"AWS_ENDPOINT_URL": "nobody listens"}, f"s3://{BUCKET}/run", "the store does not answer"),
    ],
)
def test_what_a_store_refuses_is_a_sentence(
    changes: dict[str, str],
    address: str,
    words: str,
    s3: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    if "AWS_ENDPOINT_URL" in changes:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert main(["frontier", address]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"analysis: {address}") or "there is no ledger in" in said
    assert words in said
    assert said.count("\n") == 1


def test_a_bucket_of_gcs_that_is_not_there_is_a_sentence(
    gs_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_server.environment["STORAGE_EMULATOR_HOST"])
    assert main(["frontier", "gs://no-such-bucket/run"]) == 2
    assert "there is no bucket no-such-bucket; create it" in capsys.readouterr().err


def test_pandas_and_polars_read_a_run_in_s3(local: Path, s3: Server) -> None:
    run = upload(local, s3.fresh())
    expected = pd.read_parquet(local / "trials")
    pd.testing.assert_frame_equal(pd.read_parquet(f"{run}/trials"), expected)
    options = {
        "aws_endpoint_url": s3.environment["AWS_ENDPOINT_URL"],
        "aws_access_key_id": s3.environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": s3.environment["AWS_SECRET_ACCESS_KEY"],
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    found = pl.scan_parquet(f"{run}/trials/*.parquet", storage_options=options).collect()
    assert found["metric.psnr_db"].to_list() == list(expected["metric.psnr_db"])
