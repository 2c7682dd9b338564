"""`teststrip`: every command under one name, importing only what the command needs."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from analysis.commands import COMMANDS
from sweeps.engine import environment
from sweeps.engine.cli.console import MODULES, main, sweep_questions
from sweeps.engine.environment import analysis_command
from tests.analysis.written_ledgers import trial_row, write_run
from tests.places import ROOT


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == main([]) == 0
    said = capsys.readouterr().out
    for name in (*COMMANDS, *MODULES, "sweep"):
        assert f"\n  {name} " in said, name


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"teststrip {version('teststrip')}\n"


@pytest.mark.slow
def test_a_run_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [trial_row(0)])
    assert main(["frontier", str(run)]) == 0
    assert "1 on the front" in capsys.readouterr().out
    assert main(["frontier", str(tmp_path / "typo")]) == 2
    assert capsys.readouterr().err.startswith("teststrip: ")


@pytest.mark.parametrize("name", ["frontier", *MODULES])
def test_the_help_of_a_command_calls_it_by_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([name, "--help"])
    assert not leaving.value.code
    assert capsys.readouterr().out.startswith(f"usage: teststrip {name} ")


def test_a_mistyped_command_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frontire", "run"]) == 2
    said = capsys.readouterr().err
    assert "did you mean frontier" in said
    assert "importance" in said


# --- sweeps ------------------------------------------------------------------------------------------------------


def test_the_sweeps_are_listed_with_their_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep"]) == 0
    said = capsys.readouterr().out
    assert {path.stem for path in (ROOT / "sweeps").glob("*.py")} - {"__init__"} == set(sweep_questions())
    assert all(name in said and text and text in said for name, text in sweep_questions().items())


@pytest.mark.slow
def test_a_sweep_is_run_as_its_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.argv
    assert main(["sweep", "loss_weights", "--smoke", "--dry-run", "--out", str(tmp_path / "run")]) == 0
    assert "dry run: no trial was trained" in capsys.readouterr().out
    assert main(["sweep", "tasks", "--task", "deblur", "--smoke", "--dry-run", "--out", str(tmp_path / "run")]) == 0
    assert "Deblurring" in capsys.readouterr().out
    assert main(["sweep", "loss_weights", "--trails", "3"]) == 2
    assert sys.argv is before


def test_a_file_of_the_users_own_goes_by_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "own.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n")
    assert main(["sweep", str(script), "--smoke"]) == 3
    assert "['--smoke']" in capsys.readouterr().out


def test_a_mistyped_sweep_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "loss_weight"]) == 2
    assert "did you mean loss_weights" in capsys.readouterr().err


# --- the entry ---------------------------------------------------------------------------------------------------


def test_the_package_declares_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"teststrip": "sweeps.engine.cli.console:main"}


def test_nothing_is_loaded_for_the_help() -> None:
    code = "import sys, sweeps.engine.cli.console as c; c.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert {"torch", "pandas", "ray", "numpy"}.isdisjoint(done.stderr.split())


def test_the_next_command_is_one_that_exists_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert analysis_command() == "bin/python -m analysis"
    script = tmp_path / "bin" / "teststrip"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert analysis_command() == "bin/teststrip"
    monkeypatch.setenv("PATH", str(script.parent))
    assert analysis_command() == "teststrip"
