"""A ledger is read completely, or the reader says what is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.ledger import columns, files
from analysis.ledger.load import Ledger, LedgerError, Objective, contract, load, not_ended
from tests.analysis.written_ledgers import START, TWO, cost_row, lost_row, report_row, run_row, trial_row, write_rows

Write = Callable[..., Path]


@pytest.fixture(autouse=True, params=[files.WHOLE_BYTES, 0], ids=["whole files", "column by column"])
def _whole_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for small files, which are read whole, and for large ones."""
    monkeypatch.setattr(files, "WHOLE_BYTES", request.param)


def test_tables_come_back_as_written(write: Write) -> None:
    run = write([trial_row(0), trial_row(1, 21.5, 0.91)], [report_row(0, 150, 19.0, 0.85)])
    ledger = load(run)
    assert list(ledger.trials["trial"]) == ["trial00000", "trial00001"]
    assert list(ledger.trials["metric.psnr_db"]) == [20.0, 21.5]
    assert list(ledger.reports["step"]) == [150]
    assert ledger.objectives == (Objective("psnr_db", "maximize"), Objective("ms_ssim", "maximize"))
    assert ledger.trials["time.ended"].dt.tz is not None
    assert ledger.notes == ()
    assert not_ended(ledger) == 0


def test_files_with_other_columns_are_merged_by_name(write: Write) -> None:
    run = write([trial_row(0)])
    strided = trial_row(1, **{"config.net.stride": 2, "metric.psnr_db": None})
    del strided["config.loss.color"]
    write_rows(run / "trials" / "0002.parquet", [strided])
    trials = load(run).trials
    assert list(trials["config.net.stride"].isna()) == [True, False]
    assert list(trials["config.loss.color"].isna()) == [False, True]
    assert list(trials["config.net.channels"]) == [16, 16]
    assert trials["metric.psnr_db"].dtype == np.float64


def test_a_column_without_any_value_is_promoted(write: Write) -> None:
    run = write([trial_row(0, **{"config.net.stride": None})])
    write_rows(run / "trials" / "0002.parquet", [trial_row(1, **{"config.net.stride": 2})])
    assert load(run).trials["config.net.stride"].tolist()[1] == 2


def test_types_that_do_not_fit_together_are_an_error(write: Write) -> None:
    run = write([trial_row(0, **{"config.net.norm": "batch"})])
    write_rows(run / "trials" / "0002.parquet", [trial_row(1, **{"config.net.norm": 3})])
    with pytest.raises(LedgerError, match=r"trials do not fit together.*config\.net\.norm"):
        load(run)


def test_repeated_keys_keep_the_first_file(write: Write) -> None:
    run = write([trial_row(0, 20.0)], [report_row(0, 150, 19.0, 0.8), report_row(0, 300, 19.5, 0.8)])
    write_rows(run / "trials" / "0000.parquet", [trial_row(0, 30.0)])
    write_rows(run / "reports" / "0002.parquet", [report_row(0, 300, 99.0, 0.8)])
    ledger = load(run)
    assert list(ledger.trials["metric.psnr_db"]) == [30.0]
    assert list(ledger.read("reports", ["metric.psnr_db"])["metric.psnr_db"]) == [19.0, 19.5]
    assert list(ledger.reports["metric.psnr_db"]) == [19.0, 19.5]
    assert "trials: 1 of 2 rows repeat a key and were dropped" in ledger.notes
    assert "reports: 1 of 3 rows repeat a key and were dropped" in ledger.notes


def test_some_columns_are_those_of_the_whole_table(write: Write) -> None:
    rows = [trial_row(0, label="paper"), trial_row(1), trial_row(2, configuration="conf00001", seed=1), lost_row(3)]
    run = write(rows)
    write_rows(run / "trials" / "0002.parquet", [trial_row(1), trial_row(4, **{"config.net.stride": 2})])
    wanted = ["seed", "metric.*", "spared", "no.such.column"]
    some = load(run).read("trials", wanted)
    ledger = load(run)
    whole = ledger.trials
    assert set(some.columns) == {"seed", "spared", "metric.psnr_db", "metric.ms_ssim"}
    assert some.equals(whole[some.columns])
    assert ledger.read("trials", wanted).equals(some)  # cut out of what has been read already
    assert load(run).settings.equals(ledger.settings)
    assert list(ledger.settings.index) == ["conf00000", "conf00001", "conf00003", "conf00004"]
    assert list(ledger.settings["config.net.stride"].dropna()) == [2]


@pytest.mark.slow
@pytest.mark.parametrize("patterns", [["*"], ["trial", "metric.*"], ["metric.psnr_db", "loss.new"]])
@pytest.mark.parametrize("asked", [["trial00001", "trial00003"], ["trial00002"], ["nobody's"], []])
def test_the_rows_of_some_trials_are_those_of_the_whole_table(
    write: Write, patterns: list[str], asked: list[str]
) -> None:
    run = write([trial_row(number) for number in range(4)], [report_row(number, 150, 19.0, 0.9) for number in range(3)])
    write_rows(run / "reports" / "0002.parquet", [report_row(1, 150, 7.0, 0.1), report_row(3, 300, 20.0, 0.9)])
    write_rows(run / "reports" / "0003.parquet", [report_row(1, 300, 21.0, 0.9) | {"loss.new": 0.5}])
    rows = load(run).read("reports", patterns, asked)
    columns = load(run).read("reports", patterns).columns
    expected = load(run).reports.query("trial in @asked")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected, check_dtype=False)  # without a null whole numbers stay whole


def test_repeated_keys_are_found_among_nulls_and_across_columns() -> None:
    keys = pa.table({"a": ["x", None, "x", None, "y", "x"], "b": [1, 1, 2, 1, 1, 1]})
    assert columns.repeats(keys).tolist() == [False, False, False, True, False, True]
    many = np.random.default_rng(3).integers(0, 40, (3000, 7))
    table = pa.table({str(n): many[:, n] // (1 + n) for n in range(7)} | {"wide": many[:, 0] * 2**40})
    assert columns.repeats(table).tolist() == table.to_pandas().duplicated().tolist()


def test_a_ledger_can_be_made_of_tables_in_memory() -> None:
    trials = pd.DataFrame([trial_row(0), trial_row(1)])
    ledger = Ledger.of([Objective("psnr_db", "maximize")], trials)
    assert ledger.read("trials", ["metric.psnr_db"]).columns.tolist() == ["metric.psnr_db"]
    assert ledger.reports.empty
    with pytest.raises(TypeError, match=r"has no table report; it has runs, trials, reports"):
        Ledger.of([], trials, report=trials)


# --- costs -------------------------------------------------------------------------------------------------------

NET = {"family": "resnet", "kernel": 3, "channels": 16}


def test_costs_come_back_as_written(write: Write) -> None:
    costs = load(write([trial_row(0)], costs=[cost_row(NET, 0.25), cost_row({**NET, "channels": 8}, 0.1)])).costs
    assert costs["cost.latency_ratio"].tolist() == [0.25, 0.1]
    assert costs["config.net.channels"].tolist() == [16, 8]
    assert costs["cost.device_name"].tolist() == ["Two Slow Cores"] * 2


def test_a_run_in_which_nothing_was_measured_has_no_costs(write: Write) -> None:
    assert load(write([trial_row(0)])).costs.empty
    failed = load(write([trial_row(0)], costs=[cost_row(NET, None)])).costs
    assert failed["cost.latency_ratio"].dtype == np.float64
    assert failed["cost.latency_ratio"].isna().all()


def test_a_network_measured_twice_counts_once_but_other_conditions_and_failures_are_their_own_rows(
    write: Write,
) -> None:
    rows = [cost_row(NET, None), cost_row(NET, 0.25), cost_row(NET, 0.3), cost_row(NET, 0.4, **{"cost.threads": 2})]
    ledger = load(write([trial_row(0)], costs=rows))
    assert ledger.costs["cost.latency_ratio"].dropna().tolist() == [0.25, 0.4]
    assert "costs: 1 of 4 rows repeat a key and were dropped" in ledger.notes


# --- refusals ----------------------------------------------------------------------------------------------------


def test_an_unknown_version_is_refused_and_left_in_place(write: Write) -> None:
    run = write([trial_row(0)])
    path = write_rows(run / "trials" / "0002.parquet", [trial_row(1)], version="7")
    with pytest.raises(LedgerError, match=r"0002\.parquet has ledger schema version '7'; this reader knows 1, 2$"):
        load(run)
    assert path.exists()


def test_a_path_that_is_no_folder_names_the_ledgers_beside_it(write: Write) -> None:
    run = write([trial_row(0)])
    with pytest.raises(LedgerError, match=rf"typo is not a folder; ledgers near it: {run}$"):
        load(run.parent / "typo")


def test_a_folder_without_a_ledger_says_what_was_looked_for(write: Write, tmp_path: Path) -> None:
    run = write([trial_row(0)])
    with pytest.raises(LedgerError, match=rf"no ledger in {tmp_path}: none of runs/\*\.parquet.*near it: {run}$"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LedgerError, match=r"no folder in .*empty holds one either$"):
        load(tmp_path / "empty")


def test_a_run_without_an_ended_trial_counts_the_started_ones(write: Write) -> None:
    run = write([trial_row(0), trial_row(1)])
    (run / "trials" / "0001.parquet").unlink()
    with pytest.raises(LedgerError, match=r"no trial of .* has ended yet \(2 started\)"):
        load(run)


def test_the_notes_survive_a_refusal(write: Write) -> None:
    run = write([trial_row(0)])
    (run / "trials" / "0001.parquet").write_bytes(b"no longer Parquet")
    with pytest.raises(LedgerError, match="has ended yet") as refusal:
        load(run)
    assert "was skipped" in refusal.value.notes[0]


def test_the_notes_of_every_table_survive_a_refusal(write: Write) -> None:
    run = write([trial_row(0)])
    (run / "runs" / "0001.parquet").write_bytes(b"no longer Parquet")
    write_rows(run / "trials" / "0002.parquet", [trial_row(1)], version="7")
    with pytest.raises(LedgerError, match="schema version '7'") as refusal:
        load(run)
    assert "runs/0001.parquet is unreadable" in refusal.value.notes[0]


@pytest.mark.parametrize(
    ("objectives", "sentence"),
    [
        ("not json", "not a JSON list"),
        ("[]", "not a JSON list"),
        ('[{"metric": "psnr_db"}]', "not a JSON list"),
        (json.dumps([TWO[0], TWO[0]]), "with different metrics"),
        ('[{"metric": "psnr_db", "direction": "up"}]', "'up' is not known; choose from maximize, minimize"),
        ('[{"metric": "lpips", "direction": "minimize"}]', r"no metric\.lpips; they have metric\.psnr_db"),
    ],
)
def test_objectives_that_cannot_be_used_are_refused(write: Write, objectives: str, sentence: str) -> None:
    run = write([trial_row(0)], runs=[run_row(objectives=objectives)])
    with pytest.raises(LedgerError, match=sentence):
        load(run)


def test_an_unknown_ending_is_refused(write: Write) -> None:
    with pytest.raises(LedgerError, match="ending lost is not known; the endings are completed, stopped"):
        load(write([trial_row(0), trial_row(1, ending="lost")]))


def test_a_run_in_which_nothing_was_measured_still_loads(write: Write) -> None:
    rows = [lost_row(0), lost_row(1, "failed")]
    for row in rows:
        for name in [name for name in row if name.startswith(("metric.", "spread."))]:
            del row[name]
    trials = load(write(rows)).trials
    assert trials["metric.psnr_db"].isna().all()
    assert trials["metric.psnr_db"].dtype == np.float64


def test_the_newest_invocation_decides_and_the_difference_is_noted(write: Write) -> None:
    """The newest is the last one written, also where the clock of an earlier one was fast."""
    newest = run_row(run="b", objectives=json.dumps(TWO[:1]))
    ledger = load(write([trial_row(0)], runs=[run_row(run="c", started=START.replace(year=2027)), newest]))
    assert ledger.objectives == (Objective("psnr_db", "maximize"),)
    assert list(ledger.runs["run"]) == ["c", "b"]
    assert any("different objectives" in note for note in ledger.notes)


def test_trials_started_and_not_ended_are_counted(write: Write) -> None:
    run = write([trial_row(0), trial_row(1)])
    write_rows(run / "trials" / "0001.parquet", [trial_row(0)])
    assert not_ended(load(run)) == 1


def test_a_ledger_from_before_the_audit_has_nothing_spared(write: Write) -> None:
    old = trial_row(0)
    del old["spared"]
    run = write([old])
    assert load(run).trials["spared"].tolist() == [-1]
    write_rows(run / "trials" / "0002.parquet", [trial_row(1, spared=2)])
    trials = load(run).trials
    assert trials["spared"].tolist() == [-1, 2]
    assert trials["spared"].dtype == np.int64


def test_what_the_contract_does_not_say_is_an_error(write: Write) -> None:
    assert contract(load(write([trial_row(0)])), "audit_share") == 0.25
    for changes in ({"contract": None}, {"contract": "{}"}):
        with pytest.raises(LedgerError, match="no rungs in the column contract"):
            contract(load(write([trial_row(0)], runs=[run_row(**changes)])), "rungs")
    bare = run_row()
    del bare["contract"]
    with pytest.raises(LedgerError, match="has no rungs"):
        contract(load(write([trial_row(0)], runs=[bare])), "rungs")
