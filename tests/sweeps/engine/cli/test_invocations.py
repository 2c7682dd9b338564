"""What a resumed run takes over from the invocation before it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.ledger.files import read_table
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.invocations import make_absolute
from sweeps.engine.cli.options import Options, parse
from sweeps.engine.command import run
from sweeps.engine.ledger.writer import commit_file
from sweeps.engine.sweep import Sweep
from tests.sweeps.engine.pretended import small_sweep

HERE = ["--workers", "0", "--set", "train.val_images=2"]


def rows(out: Path, dataset: str) -> list[dict[str, Any]]:
    table, _ = read_table(out, dataset, [])
    return [] if table is None else table.to_pylist()


def record(out: Path, **columns: str) -> None:
    """Put a row into `runs` that has only these columns."""
    (out / "runs").mkdir(parents=True, exist_ok=True)
    number = 1 + len(list((out / "runs").iterdir()))
    commit_file([{"run": f"r{number}", **columns}], out / "runs" / f"part-{number:05d}-x-1.parquet")


def resume(out: Path, *argv: str) -> tuple[Sweep, Options]:
    return parse(small_sweep(), ["--resume", str(out), *argv], "x")


@pytest.mark.slow
def test_an_extension_survives_an_interruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start with 2 trials, extend to 4, interrupt, follow the printed command: there are 4, not 2."""
    out = tmp_path / "run"
    assert run(small_sweep(), ["--smoke", *HERE, "--out", str(out)]) == 0
    assert run(small_sweep(), ["--resume", str(out), "--trials", "4", "--workers", "0", "--max-minutes", "0"]) == 0
    printed = capsys.readouterr().out.rpartition("to continue: ")[2].split()
    assert len(rows(out, "trials")) < 4
    assert run(small_sweep(), [*printed[printed.index("--resume") :], "--workers", "0"]) == 0
    assert len(rows(out, "trials")) == 4
    options = [json.loads(row["options"]) for row in rows(out, "runs")]
    assert [own.get("trials") for own in options] == [None, 4, 4]
    assert all(own["budget"] == "smoke" and own["set"] == ["train.val_images=2"] for own in options)


def test_options_given_override_those_taken_over(tmp_path: Path) -> None:
    record(tmp_path, options=json.dumps({"trials": 5, "set": ["net.channels=4", "loss.pixel=2"], "workers": 0}))
    sweep, options = resume(tmp_path, "--set", "net.channels=8", "--seeds", "2", "--workers", "1")
    assert (sweep.budget.trials, sweep.budget.seeds) == (5, 2)
    assert (sweep.fixed["net.channels"], sweep.fixed["loss.pixel"]) == (8, 2.0)
    assert options.workers == 1
    sweep, _ = resume(tmp_path, "--trials", "9", "--budget", "demo")
    assert sweep.budget.trials == 9


def test_what_belongs_to_one_invocation_is_not_taken_over(tmp_path: Path) -> None:
    own = {"workers": 0, "max_minutes": 1.0, "estimate": True, "out": "/elsewhere", "accept_change": ["code"]}
    record(tmp_path, options=json.dumps({**own, "samples": 2, "timeout": 5.0}))
    _, options = resume(tmp_path)
    assert (options.out, options.max_minutes, options.estimate, options.accept_change) == (tmp_path, None, False, ())
    assert options.workers != 0
    assert (options.samples, options.timeout_s) == (2, 5.0)


def test_of_a_ledger_of_version_1_the_newest_command_line_counts(tmp_path: Path) -> None:
    record(tmp_path, argv=json.dumps(["--smoke", "--out", "x", "--trials=24"]))
    record(tmp_path, argv=json.dumps(["--smoke", "--out", "x", "--trials=24", "--resume", "x", "--trials", "40"]))
    sweep, _ = resume(tmp_path)
    assert (sweep.budget.trials, sweep.budget.steps) == (40, small_sweep().smoke.steps)
    record(tmp_path, options=json.dumps({"trials": 41}))
    assert resume(tmp_path)[0].budget.trials == 41


def test_an_option_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    record(tmp_path, options=json.dumps({"trails": 5}))
    with pytest.raises(UsageError, match="trails"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("options", "absolute"),
    [
        ({"data": "dped:rel"}, {"data": "dped:/here/rel"}),
        ({"data": "photos:rel/@64"}, {"data": "photos:/here/rel/@64"}),
        ({"data": "pairs:a:/b@64"}, {"data": "pairs:/here/a:/b@64"}),
        ({"data": "dped:a:b"}, {"data": "dped:/here/a:b"}),
        ({"data": "deblur:demo@128"}, {"data": "deblur:demo@128"}),
        ({"data": "photos:demo"}, {"data": "photos:/here/demo"}),
        ({"data": "demo@64"}, {"data": "demo@64"}),
        ({"warm_start": ["rel", "s3://b/p"]}, {"warm_start": ["/here/rel", "s3://b/p"]}),
        ({"out": "rel", "photo": ["a.jpg"]}, {"out": "/here/rel", "photo": ["/here/a.jpg"]}),
        ({"set": ["loss.vgg_weights=file:w.pt", "a=b"]}, {"set": ["loss.vgg_weights=file:/here/w.pt", "a=b"]}),
    ],
)
def test_relative_paths_are_recorded_absolute(
    options: dict[str, Any], absolute: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: Path("/here"))
    assert make_absolute(options) == absolute
    assert make_absolute(absolute) == absolute


def test_a_mistyped_source_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    for how in (["--dry-run"], []):
        assert run(small_sweep(), [*HERE, *how, "--smoke", "--out", str(out), "--warm-start", "nowhere"]) == 2
        assert "--warm-start" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_a_source_that_cannot_be_read_leaves_no_row(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for dataset in ("runs", "trials"):
        (other / dataset).mkdir(parents=True)
        table = pa.table({"run": ["r"]}).replace_schema_metadata({"teststrip.schema": "999"})
        pq.write_table(table, other / dataset / "part-00001-x-1.parquet")
    out = tmp_path / "run"
    assert run(small_sweep(), [*HERE, "--smoke", "--out", str(out), "--warm-start", str(other)]) == 2
    assert rows(out, "runs") == []


@pytest.mark.parametrize("option", ["warm_start", "photo"])
def test_a_source_that_was_deleted_later_is_a_note(tmp_path: Path, option: str) -> None:
    gone = str(tmp_path / "gone")
    record(tmp_path, options=json.dumps({option: [gone]}))
    _, options = resume(tmp_path)
    assert len(options.notes) == 1
    assert gone in options.notes[0]
    assert (options.warm_start, options.photos) == ((), ())
    assert options.in_effect[option] == [gone]  # it may come back
    with pytest.raises(UsageError, match=gone):
        resume(tmp_path, f"--{option.replace('_', '-')}", gone)


def test_a_reproducible_run_needs_what_taught_its_sampler(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    record(tmp_path, options=json.dumps({"warm_start": [gone], "reproducible": True}))
    with pytest.raises(UsageError, match=gone):
        resume(tmp_path)
