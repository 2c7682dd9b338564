"""A script of several sweeps that is interrupted: one command continues it, to the ledgers of an undisturbed run."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.ledger.load import Ledger, load
from enhance.report import Report
from sweeps.engine import command
from sweeps.engine.cli import console
from sweeps.engine.command import run_chosen
from sweeps.engine.designs import Grid
from sweeps.engine.space import Choice
from sweeps.engine.workers.worker import Worker
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.pretended import small_sweep
from tests.sweeps.engine.whole_runs import numbers

pytestmark = pytest.mark.slow

GRID = {"design": Grid(), "space": {"loss.color": Choice(0.5, 1.0), "loss.tv": Choice(0.5, 1.0)}}
SWEEPS = {
    "day": small_sweep(name="day", **GRID),
    "dusk": small_sweep(name="dusk"),  # a search, which --reproducible repeats
    "night": small_sweep(name="night", **GRID),
}
HERE = ["--workers", "0"]
HOW = ["--smoke", "--set", "train.val_images=2", "--reproducible", "--confirm", "1", "--confirm-seeds", "1", *HERE]
ENDED = dict.fromkeys(SWEEPS, 3)  # two trials of the search, and one that confirms

SHORT = ["--smoke", "--trials", "1", "--set", "train.val_images=2", "--samples", "0", *HERE]
RUNGS = 5
"""Reports in every sweep: both trials at the first rung, one at the second, and the confirmation at both."""


def script(*argv: object) -> int:
    return run_chosen(SWEEPS, "--task", "all", [str(word) for word in argv])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the packed data of this module lie: all its runs share them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTSTRIP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """A suite in the background of a shell ignores SIGINT, and so would the runs that are to be interrupted."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ledger]:
    out = tmp_path_factory.mktemp("undisturbed")
    assert script(*HOW, "--out", out) == 0
    return ledgers(out)


def ledgers(out: Path) -> dict[str, Ledger]:
    return {name: load(out / name) for name in SWEEPS}


def invocations(out: Path) -> dict[str, int]:
    """How many invocations each sweep has had, of those that have begun."""
    files = {name: list((out / name / "runs").glob("part-*")) for name in SWEEPS}
    return {name: len(found) for name, found in files.items() if found}


def assert_equal(out: Path, undisturbed: dict[str, Ledger]) -> None:
    """The same trials, bit for bit, and no row more."""
    for name, ledger in ledgers(out).items():
        for dataset in ("starts", "reports", "trials", "samples", "originals"):
            one, two = (numbers(own.read(dataset, ["*"])) for own in (ledger, undisturbed[name]))
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        assert len(ledger.trials) == ENDED[name]


class Signalling:
    """Takes the place of the worker's `_advance`, and sends this process a signal as a sweep's rung is reached."""

    def __init__(self, sweep: int, rung: int, number: int = signal.SIGINT) -> None:
        self.left, self.number, self.real = sweep * RUNGS + rung, number, Worker._advance

    def __call__(self, worker: Worker, *arguments: Any) -> Report:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return self.real(worker, *arguments)


def unwrapped(text: str) -> str:
    """Without spaces and line ends: where a plan's lines are wrapped depends on the temporary folder's name."""
    return "".join(text.split())


def interrupt(patch: pytest.MonkeyPatch, sweep: int, rung: int) -> None:
    signalling = Signalling(sweep, rung)
    patch.setattr(Worker, "_advance", lambda worker, *arguments: signalling(worker, *arguments))


def resumed_as_printed(capsys: pytest.CaptureFixture[str]) -> int:
    """Give the arguments of the last command that was printed for an interruption."""
    words = shlex.split(capsys.readouterr().out.rpartition("to continue: ")[2])
    return script(*words[words.index("--task") :], *HERE)


@pytest.mark.parametrize(("sweep", "rung"), [(0, 1), (0, 4), (1, 3), (2, 2)])
def test_one_command_continues_an_interrupted_script(
    sweep: int,
    rung: int,
    undisturbed: dict[str, Ledger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "the run"
    with monkeypatch.context() as patch:
        interrupt(patch, sweep, rung)
        assert script(*HOW, "--out", out) == 130
    assert list(invocations(out)) == list(SWEEPS)[: sweep + 1]
    assert resumed_as_printed(capsys) == 0
    assert_equal(out, undisturbed)
    assert list(invocations(out).values()) == [1 + (number == sweep) for number in range(len(SWEEPS))]
    said = capsys.readouterr().out
    assert [f"{name}: complete with 3 trials" in said for name in SWEEPS] == [name < sweep for name in range(3)]
    options = [json.loads(load(out / name).runs["options"].iloc[-1]) for name in SWEEPS]
    assert all(own["reproducible"] and own["set"] == ["train.val_images=2"] for own in options)


@pytest.mark.engine
@pytest.mark.parametrize(("name", "before"), [("day", 0), ("dusk", 1), ("night", 2)])
def test_a_script_killed_between_two_sweeps_is_continued(
    name: str, before: int, undisturbed: dict[str, Ledger], tmp_path: Path
) -> None:
    """By SIGKILL, as the sweep of this name begins."""
    code = f"""
import os, signal, sys
from sweeps.engine import command
from tests.sweeps.engine.test_series import SWEEPS
drive = command.drive
def killed(sweep, *rest):
    if sweep.name == "{name}":
        os.kill(os.getpid(), signal.SIGKILL)
    return drive(sweep, *rest)
command.drive = killed
command.main(SWEEPS, switch="--task", argv=sys.argv[1:])
"""
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", code, *HOW, "--out", str(out)],
        capture_output=True, timeout=PATIENCE_S, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(invocations(out)) == list(SWEEPS)[:before]
    assert script("--resume", out, *HERE) == (0 if before else 2)  # before the first there is nothing to resume
    if before:
        assert_equal(out, undisturbed)
        assert set(invocations(out).values()) == {1}


def test_an_interrupt_before_a_later_sweep_has_a_row_names_the_command_too(
    undisturbed: dict[str, Ledger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, out = command.drive, tmp_path / "run"

    def interrupted(sweep: Any, *rest: Any) -> Any:
        if sweep.name == "dusk":
            raise KeyboardInterrupt
        return real(sweep, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(command, "drive", interrupted)
        assert script(*HOW, "--out", out) == 130
    assert resumed_as_printed(capsys) == 0
    assert_equal(out, undisturbed)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ended")
    assert script(*SHORT, "--out", out) == 0
    return out


@pytest.fixture
def whole(ended: Path, tmp_path: Path) -> Path:
    """A script that has run to its end: short sweeps of one trial."""
    return Path(shutil.copytree(ended, tmp_path / "whole"))


def test_what_is_complete_is_not_run_again_and_what_is_asked_for_more_is(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for again in (("--resume", whole, *HERE), (*SHORT, "--out", whole)):
        assert script(*again) == 0
        assert "complete with 1 trials" in capsys.readouterr().out
    assert set(invocations(whole).values()) == {1}
    assert script("--resume", whole, "--trials", "2", *HERE) == 0
    assert {len(own.trials) for own in ledgers(whole).values()} == {2}
    assert set(invocations(whole).values()) == {2}
    with pytest.MonkeyPatch.context() as patch:  # what is complete needs no accepted change
        patch.setattr("sweeps.engine.environment.code_hash", lambda: "0123456789abcdef")
        patch.setattr("sweeps.engine.cli.completed.code_hash", lambda: "0123456789abcdef")
        assert script("--resume", whole, *HERE) == 0
        assert "which has changed since" in capsys.readouterr().out
        assert script("--resume", whole, "--trials", "3", *HERE) == 2
        assert script("--resume", whole, "--trials", "3", "--accept-change", "code", *HERE) == 0
    assert {len(own.trials) for own in ledgers(whole).values()} == {3}


def test_a_script_that_was_moved_is_resumed_where_it_lies(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved = whole.rename(tmp_path / "moved")
    os.rename(moved / "night", tmp_path / "kept")  # as if it had not begun
    assert script("--resume", "moved/", *HERE) == 0
    assert set(invocations(moved).values()) == {1}
    assert not whole.exists()
    one, two = (numbers(load(out).trials) for out in (moved / "night", tmp_path / "kept"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_failed_trials_of_every_sweep_are_tried_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_memory(*_: object) -> Report:
        raise MemoryError

    out = tmp_path / "failing"
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_advance", without_memory)
        assert script(*SHORT, "--out", out) == 0
    assert script("--resume", out, *HERE) == 0
    assert set(invocations(out).values()) == {1}  # a failure is an ending
    assert script("--resume", out, "--retry", "failed", *HERE) == 0
    for name, ledger in ledgers(out).items():
        pd.testing.assert_frame_equal(numbers(ledger.trials), numbers(load(whole / name).trials), check_exact=True)
    assert script("--resume", out, "--retry", "failed", *HERE) == 0
    assert set(invocations(out).values()) == {2}


def test_plans_and_estimates_of_a_resumed_script_compute_nothing(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.rename(whole / "night", whole.with_name("elsewhere"))
    capsys.readouterr()
    for how in (["--dry-run"], ["--dry-run", "--estimate"]):
        assert script("--resume", whole, *how, *HERE) == 0
        said = capsys.readouterr().out
        assert said.count("complete with 1 trials") == 2
        assert said.count("dry run: no trial was trained") == 1
        assert said.count("ms per step") == len(how) - 1
        assert "1 configurations x 1 seed(s)" in said
        assert not (whole / "night").exists()
    assert script(*SHORT, "--out", whole.with_name("new"), "--dry-run", "--estimate") == 0
    said = capsys.readouterr().out
    assert said.count("dry run: no trial was trained") == said.count("ms per step") == 3
    assert not whole.with_name("new").exists()


def test_without_a_folder_the_sweeps_share_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TESTSTRIP_RUNS", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["days.py"])
    assert script(*SHORT) == 0
    (out,) = tmp_path.iterdir()
    assert out.name.startswith("days-")
    assert list(invocations(out)) == list(SWEEPS)
    assert f"days.py --task all --resume {out}" in capsys.readouterr().out


def test_each_sweep_starts_warm_from_its_own_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "warm"
    assert script(*SHORT, "--out", out, "--warm-start", whole) == 0
    assert unwrapped(capsys.readouterr().out).count(unwrapped(": 1 configurations")) == 3
    os.rename(out / "night", tmp_path / "kept")
    assert script("--resume", out, *HERE) == 0
    assert unwrapped(f"warm start from {whole / 'night'}: 1 configurations") in unwrapped(capsys.readouterr().out)
    assert script(*SHORT, "--out", tmp_path / "one", "--warm-start", whole / "day") == 0
    said = unwrapped(capsys.readouterr().out)
    assert said.count(unwrapped(f"warm start from {whole / 'day'}")) == 3  # what another sweep cannot use it counts
    assert script(*SHORT, "--out", tmp_path / "none", "--warm-start", tmp_path) == 2
    assert capsys.readouterr().err.count("no finished trial there") == 3
    assert not (tmp_path / "none").exists()


def test_a_wrong_argument_for_one_sweep_stops_all_before_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert script(*SHORT, "--out", out, "--sampler-option", "seed=1", "--set", "loss.tv=1") == 2
    refused = capsys.readouterr().err
    assert "day, night:" in refused or ("day:" in refused and "night:" in refused)
    assert script(*SHORT, "--out", out, "--trails", "1") == 2
    assert capsys.readouterr().err.count("did you mean --trials") == 1
    assert not out.exists()


def test_a_folder_that_is_not_the_script_s_is_refused_with_what_it_is(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*argv: object, sweeps: Any = SWEEPS) -> str:
        assert run_chosen(sweeps, "--task", "all", [str(word) for word in (*argv, *HERE)]) == 2
        return capsys.readouterr().err

    others = {name: replace(sweep, name=f"other_{name}") for name, sweep in SWEEPS.items()}
    assert f"{whole / 'day'} is one of day" in refused("--resume", whole, sweeps=others)
    assert "the sweeps of this script are other_day" in refused("--out", whole, sweeps=others)
    assert f"continue it with --task day --resume {whole / 'day'}" in refused("--resume", whole / "day")
    assert "the sweeps of this script are other_day" in refused("--resume", whole / "day", sweeps=others)
    assert "holds a run of one sweep, day" in refused("--out", whole / "day")
    assert f"--task all --resume {whole}" in refused("--task", "day", "--resume", whole)
    assert "holds a run of the sweep day, and this is night" in refused("--task", "night", "--resume", whole / "day")
    assert "start them with --out" in refused("--resume", tmp_path / "nowhere")
    assert "give one of them" in refused("--resume", whole, "--out", tmp_path / "there")
    assert "expected one argument" in refused("--out")
    assert set(invocations(whole).values()) == {1}


def test_the_console_command_resumes_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "days.py", tmp_path / "run"
    path.write_text(
        "from sweeps.engine.command import main\n"
        "from tests.sweeps.engine.test_series import SWEEPS\n"
        'if __name__ == "__main__":\n    main(SWEEPS, switch="--task")\n'
    )
    assert console.main(["sweep", str(path), *SHORT, "--out", str(out), "--max-minutes", "0"]) == 0
    assert capsys.readouterr().out.count(f"--task all --resume {out}") == 6
    assert console.main(["sweep", str(path), "--resume", str(out), *HERE]) == 0
    assert {len(own.trials) for own in ledgers(out).values()} == {1}


def test_a_sweep_that_cannot_use_the_data_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"day": ("camera",), "dusk": ("blur",), "night": ("blur", "camera")}
    sweeps = {name: replace(SWEEPS[name], degradations=shown) for name, shown in asked.items()}
    out = tmp_path / "run"
    how = ["--data", "deblur:demo@48", "--set", "train.crop_px=32"]
    assert run_chosen(sweeps, "--task", "all", [*SHORT, *how, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert said.startswith("day is left out: the inputs of deblur:demo@48 show a blur")
    assert said.count("left out") == 1
    assert list(invocations(out)) == ["dusk", "night"]
    shutil.rmtree(out / "night")
    assert run_chosen(sweeps, "--task", "all", ["--resume", str(out), *HERE]) == 0
    assert "day is left out" in capsys.readouterr().err
    assert invocations(out) == {"dusk": 1, "night": 1}
