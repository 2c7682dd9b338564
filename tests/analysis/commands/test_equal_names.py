"""Runs in folders with the same name: commands never overwrite files or give two runs the same name."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.ledger.load import LedgerError
from analysis.ledger.names import file_names, letters, run_names
from analysis.report.reading import read_all
from sweeps.engine.designs import Factorial
from tests.analysis.ablation.test_ablation import SWITCHES
from tests.analysis.ablation.test_ablation import written as write_design
from tests.analysis.images.pictured_ledgers import add_samples
from tests.analysis.stability.test_stability import grid_rows
from tests.analysis.stability.test_stability import written as write_grid
from tests.analysis.stopping.test_stopping_command import audited_run
from tests.analysis.written_ledgers import run_row, trial_row

Write = Callable[..., Path]
ONE = json.dumps([{"metric": "psnr_db", "direction": "maximize"}])
SEVERAL = ("frontier", "report", "importance", "stability", "stopping", "ablation", "images", "compare-paper")
"""Commands that take any number of runs."""


def pictured(write: Write, name: str) -> Path:
    """Two networks with pictures, on the same data as every other such run."""
    rows = [trial_row(number, 25.0 + number, **{"trial": f"{name[0]}{number}"}) for number in range(2)]
    run = write(rows, [], [run_row(objectives=ONE, space="{}")], name=name)
    return add_samples(run, {row["trial"]: [20.0] * 12 for row in rows})


@pytest.mark.parametrize(
    ("command", "make"),
    [
        (
            "ablation",
            lambda write, name: write_design(write, SWITCHES, Factorial(), lambda own: own["loss.a"], name=name),
        ),
        ("stopping", lambda write, name: audited_run(write, name=name)),
    ],
)
@pytest.mark.slow
def test_each_run_has_its_own_files(command: str, make: Callable[..., Path], write: Write, tmp_path: Path) -> None:
    runs, out = [make(write, f"{folder}/run") for folder in "AB"], tmp_path / "out"
    assert main([command, *map(str, runs), "--out", str(out)]) == 0
    endings = ("png", "svg", "parquet")
    assert {path.name for path in out.iterdir()} == {f"{command}-{own}-run.{end}" for own in "AB" for end in endings}


@pytest.mark.slow
def test_a_legend_has_both(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write([trial_row(n, 20.0 + n + place, trial=f"{folder}{n}") for n in range(3)], name=f"{folder}/run"))
            for place, folder in enumerate("AB")]  # fmt: skip
    out = tmp_path / "out"
    assert main(["frontier", *runs, "--out", str(out), "--all"]) == 0
    printed = capsys.readouterr().out
    assert "A/run: 3 trials ended" in printed
    assert "B/run: color=0.5" in printed
    assert set(pd.read_parquet(out / "frontier.parquet")["run"]) == {"A/run", "B/run"}
    own = [[row | {"trial": f"{folder}{row['number']}"} for row in grid_rows()] for folder in "CD"]
    grids = [str(write_grid(write, rows, f"{folder}/run")) for folder, rows in zip("CD", own, strict=True)]
    assert main(["stability", *grids, "--out", str(out)]) == 0
    rates = pd.read_parquet(out / "stability-rates.parquet")
    assert rates.loc[rates["factor"] == "run", "level"].tolist() == ["C/run", "D/run"]
    assert [reading.name for reading in read_all(list(map(Path, runs)))] == ["A/run", "B/run"]
    assert main(["report", *runs, "--out", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert all(name in page for name in ("A/run", "B/run"))


@pytest.mark.slow
def test_pictures_of_both_are_shown(write: Write, tmp_path: Path) -> None:
    runs = [str(pictured(write, f"{folder}/run")) for folder in "AB"]
    assert main(["images", *runs, "--out", str(tmp_path / "out")]) == 0
    assert set(pd.read_parquet(tmp_path / "out" / "images.parquet")["run"]) == {"A/run", "B/run"}


@pytest.mark.parametrize("command", SEVERAL)
def test_the_same_run_twice_is_refused(command: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = write([trial_row(0)])
    assert main([command, str(run), os.path.join(run, "..", run.name)]) == 2
    assert "named twice" in capsys.readouterr().err


# The chapters of a report are not pooled, so a copy does no harm there.
@pytest.mark.parametrize("command", [command for command in SEVERAL if command != "report"])
def test_a_copy_of_a_run_is_refused(
    command: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write([trial_row(0)])
    copy = shutil.copytree(run, tmp_path / "copy")
    assert main([command, str(run), str(copy)]) == 2
    assert f"{run} and {copy} are copies of one run; give only one of them" in capsys.readouterr().err


# --- the names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/x/run"], ["run"]),
        (["/x/one", "/x/two"], ["one", "two"]),
        (["/x/A/run", "/x/B/run", "/x/other"], ["A/run", "B/run", "other"]),
        (["/x/A/run", "/y/A/run"], ["x/A/run", "y/A/run"]),
        (["/run", "/x/run"], ["/run", "x/run"]),
    ],
)
def test_a_name_is_as_much_of_the_path_as_tells_it_apart(paths: list[str], names: list[str]) -> None:
    assert run_names([Path(path) for path in paths]) == names


def test_a_relative_path_has_the_name_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_names([Path(".")]) == [tmp_path.name]


def test_a_link_to_a_run_is_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "latest").symlink_to("run")
    with pytest.raises(LedgerError, match=r"latest is named twice \(the first time as .*run\)"):
        run_names([tmp_path / "run", tmp_path / "latest"])


def test_runs_never_run_out_of_letters() -> None:
    assert [letters(place) for place in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]
    assert len({letters(place) for place in range(2000)}) == 2000


def test_names_of_files_never_meet() -> None:
    found = file_names("ablation", ["A/run", "A-run", "B/Run", "b/run", "/run"])
    assert len({name.casefold() for name in found}) == 5
    assert not any("/" in name for name in found)
    assert found[0] == "ablation-A-run"
