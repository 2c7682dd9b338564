"""A script with several sweeps: run one by name, or all in turn, each in its own folder."""

import errno
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.ledger.load import load
from enhance.report import Report
from sweeps.engine import command
from sweeps.engine.command import run, run_chosen
from sweeps.engine.ledger import writer
from sweeps.engine.sweep import Budget, SweepError
from sweeps.engine.workers.worker import Worker
from tests.sweeps.engine.pretended import small_sweep

SWEEPS = {name: replace(small_sweep(), name=name) for name in ("day", "night")}
HOW = ["--smoke", "--workers", "0", "--set", "train.val_images=2"]


@pytest.mark.slow
def test_all_sweeps_of_a_script_run_in_turn_inside_the_folder(tmp_path: Path) -> None:
    assert run_chosen(SWEEPS, "--task", "all", [*HOW, "--out", str(tmp_path / "run")]) == 0
    for name in SWEEPS:
        assert set(load(tmp_path / "run" / name).trials["sweep"]) == {name}


@pytest.mark.slow
def test_one_is_chosen_and_its_command_can_be_given_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"--out={tmp_path / 'run'}"
    assert run_chosen(SWEEPS, "--task", "all", [*HOW, "--task", "night", out]) == 0
    assert set(load(tmp_path / "run").trials["sweep"]) == {"night"}
    said = " ".join(capsys.readouterr().out.split())
    assert f"--task night --resume {tmp_path / 'run'}" in said
    assert (
        run_chosen(SWEEPS, "--task", "all", ["--task=night", "--resume", str(tmp_path / "run"), "--workers", "0"]) == 0
    )


@pytest.mark.parametrize("out", [["--out", ""], ["--out="]])
def test_a_folder_without_a_name_is_refused(out: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_chosen(SWEEPS, "--task", "all", [*HOW, *out]) == 2
    assert run(SWEEPS["day"], [*HOW, *out]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_shell_left_the_home_folder_to_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(SWEEPS["day"], [*HOW, "--out=~/run", "--dry-run"]) == 0
    assert f"{tmp_path / 'run'}" in capsys.readouterr().out


@pytest.mark.slow
def test_what_others_wrote_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths, labels and questions come out letter by letter, and the printed command can be pasted into a shell."""
    odd = "[bold]a[/tv] :warning:"
    sweep = small_sweep(question=f"Which {odd}?", enqueue={odd: {"loss.color": 1.0, "loss.tv": 1.0}}, data="demo@100")
    out = tmp_path / f"{odd}'s run"
    assert run(sweep, [*HOW, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"Which {odd}?" in said
    again = next(line for line in said.splitlines() if "to continue" in line)
    assert shlex.split(again.partition("interruption: ")[2])[-2:] == ["--resume", str(out)]
    following = next(line for line in said.splitlines() if line.startswith("next:"))
    assert shlex.split(following)[-1] == str(out)
    assert shlex.split(load(out).runs["command"][0])[-2:] == ["--out", str(out)]


@pytest.mark.slow
def test_files_of_others_stay_where_they_are_and_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine"
    (out / "trials").mkdir(parents=True)
    theirs = {out / "trials" / "mydata.parquet": b"PAR1", out / "trials" / ".notes.tmp": b"to be kept"}
    for path, content in theirs.items():
        path.write_bytes(content)
    assert run(SWEEPS["day"], [*HOW, "--out", str(out)]) == 0
    assert "trials/mydata.parquet is unreadable" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert not (out / "_quarantine").exists()


@pytest.mark.slow
def test_failed_trials_are_tried_again_only_if_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, resumed = tmp_path / "run", ["--resume", str(tmp_path / "run"), "--workers", "0"]
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_advance", _without_memory)
        assert run(SWEEPS["day"], [*HOW, "--out", str(out)]) == 0
    failed = load(out).trials
    assert set(failed["ending"]) == {"failed"}
    assert run(SWEEPS["day"], resumed) == 0
    assert set(load(out).trials["ending"]) == {"failed"}
    assert run(SWEEPS["day"], [*resumed, "--retry", "failed"]) == 0
    again = load(out)
    assert set(failed["trial"]) <= set(again.trials["trial"])
    assert "failed" not in set(again.trials["ending"])
    assert again.notes == ()
    assert len(list((out / "_retried").iterdir())) == len(failed)
    assert run(SWEEPS["day"], resumed) == 0  # it holds for one invocation
    assert len(load(out).trials) == len(again.trials)
    assert run(SWEEPS["day"], [*HOW, "--retry", "failed", "--reproducible"]) == 2


def _without_memory(*_: object) -> Report:
    raise MemoryError


def test_an_error_without_a_name_blames_nothing_and_one_of_the_ledger_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = [*HOW, "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(command, "render_plan", full)  # as where standard output is full
        assert run(SWEEPS["day"], out) == 1
    assert "No space left on device\n" in capsys.readouterr().err
    monkeypatch.setattr(writer, "commit_file", full)
    assert run(SWEEPS["day"], out) == 1
    assert f"No space left on device: {tmp_path / 'run' / 'runs'}/part-" in capsys.readouterr().err


def test_a_percent_sign_of_the_author_is_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(small_sweep(data="photos:/100%s"), ["--help"])
    assert left.value.code == 0
    assert "photos:/100%s" in capsys.readouterr().out


def test_an_unknown_choice_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_chosen(SWEEPS, "--task", "day", ["--task", "dusk"]) == 2
    assert "--task dusk: choose from day, night, all" in capsys.readouterr().err
    assert run_chosen(SWEEPS, "--task", "day", ["--task"]) == 2


def test_the_full_scale_changes_the_budget_and_what_is_fixed() -> None:
    sweep = small_sweep(full_fixed={"net.channels": 64})
    full = sweep.at("full")
    assert full.budget == sweep.full
    assert full.fixed == {**sweep.fixed, "net.channels": 64}
    assert sweep.at("demo") == sweep
    assert sweep.at("smoke").budget == sweep.smoke
    with pytest.raises(SweepError, match=r"full budget\.trials=0"):
        small_sweep(full=Budget(trials=0, steps=9))
    with pytest.raises(SweepError, match=r"loss\.tv cannot be fixed and searched"):
        small_sweep(full_fixed={"loss.tv": 1.0})
