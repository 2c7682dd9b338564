"""Files of schema version 1 are upgraded to version 2, alone and mixed with files of version 2."""

import json
from pathlib import Path

import pytest

from analysis.ledger import files, version_1
from analysis.ledger.fetch import fetch
from analysis.ledger.load import contract, load
from tests.analysis.written_ledgers import Row, report_row, run_row, trial_row, write_rows, write_run

SPACE_BEFORE = {"loss.color": "Log(low=0.1, high=10.0)"}
SPACE = {"loss.color": {"kind": "log", "low": 0.1, "high": 10.0}}


def before(row: Row) -> Row:
    """A row as version 1 had it."""
    return {name.replace("untouched.", "baseline.", 1): value for name, value in row.items()}


def mixed_run(run: Path) -> Path:
    """A run that version 1 began and version 2 continued."""
    facts = {"rungs": [600], "audit_share": 0.0, "stopping": "none"}
    write_run(
        run,
        [trial_row(1, **{"untouched.psnr_db": 17.0})],
        [report_row(1, 600, 21.0, 0.9)],
        [run_row(run="new", contract=json.dumps({**facts, "space": SPACE, "design": None}))],
    )
    old = run_row(run="old", contract=json.dumps({**facts, "space": SPACE_BEFORE, "design": "None"}), space="{}")
    write_rows(run / "runs" / "0000.parquet", [old], version="1")
    write_rows(run / "trials" / "0000.parquet", [before(trial_row(0, **{"untouched.psnr_db": 17.0}))], version="1")
    write_rows(run / "reports" / "0000.parquet", [before(report_row(0, 600, 20.0, 0.9))], version="1")
    return run


def test_a_run_with_files_of_both_versions_is_one_table(tmp_path: Path) -> None:
    ledger = load(mixed_run(tmp_path / "run"))
    assert ledger.notes == ()
    assert ledger.trials["untouched.psnr_db"].tolist() == [17.0, 17.0]
    assert ledger.reports["untouched.psnr_db"].tolist() == [18.0, 18.0]
    assert not [name for name in (*ledger.trials, *ledger.reports) if name.startswith("baseline.")]
    contracts = [json.loads(text) for text in ledger.runs["contract"]]
    assert contracts[0] == contracts[1]
    assert contract(ledger, "space") == SPACE


def test_columns_of_large_files_have_their_new_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHOLE_BYTES", 0)
    ledger = load(mixed_run(tmp_path / "run"))
    assert ledger.read("trials", ["untouched.psnr_db"])["untouched.psnr_db"].tolist() == [17.0, 17.0]
    assert "untouched.ms_ssim" in ledger.read("reports", ["untouched.*"])


def test_a_packed_copy_is_of_the_newest_version(tmp_path: Path) -> None:
    run = mixed_run(tmp_path / "run")
    fetch(run, tmp_path / "copy", compact=True)
    assert load(tmp_path / "copy").trials.equals(load(run).trials)
    assert load(tmp_path / "copy").runs.equals(load(run).runs)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Uniform(low=0.0, high=1.0)", {"kind": "uniform", "low": 0.0, "high": 1.0}),
        ("Log(low=1e-05, high=0.01)", {"kind": "log", "low": 1e-05, "high": 0.01}),
        ("Integer(low=1, high=4, step=1)", {"kind": "integer", "low": 1, "high": 4, "step": 1}),
        ("Choice(values=('a',))", {"kind": "choice", "values": ["a"]}),
        (
            "When(name='net.family', value='unet', range=Choice(values=(4, 5)))",
            {"kind": "when", "name": "net.family", "value": "unet", "range": {"kind": "choice", "values": [4, 5]}},
        ),
        # What no version wrote stays as it is, and is run by nobody.
        *((text, text) for text in ("Lag(low=1)", "Log(1, 2)", "import os", "__import__('os')", "(" * 1000)),
    ],
)
def test_an_entry_of_the_space_becomes_json(text: str, entry: object) -> None:
    upgraded = version_1.upgrade_contract(json.dumps({"space": {"a": text}, "rungs": [1]}))
    assert json.loads(upgraded or "") == {"space": {"a": entry}, "rungs": [1]}


@pytest.mark.parametrize(
    ("text", "design"),
    [
        ("None", None),
        ("Grid(levels=7)", {"kind": "grid", "levels": 7}),
        ("Fraction(levels=3, share=0.25, seed=0)", {"kind": "fraction", "levels": 3, "share": 0.25, "seed": 0}),
        ("OneAtATime(base={'a': 1}, levels=2)", {"kind": "one_at_a_time", "base": {"a": 1}, "levels": 2}),
        ("Ablation(base={'a': 'x'}, off={})", {"kind": "ablation", "base": {"a": "x"}, "off": {}}),
    ],
)
def test_a_design_becomes_json(text: str, design: object) -> None:
    upgraded = version_1.upgrade_contract(json.dumps({"design": text}))
    assert json.loads(upgraded or "") == {"design": design}


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]"])
def test_a_contract_that_cannot_be_read_stays_as_it_is(text: str | None) -> None:
    assert version_1.upgrade_contract(text) == text
