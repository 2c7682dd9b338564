"""How a driver's process ends: with its status, whatever hangs in it, and without a traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.engine.cli.display.plan import render_plan
from sweeps.engine.cli.options import parse
from sweeps.engine.command import run
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.pretended import small_sweep
from tests.sweeps.engine.whole_runs import SCRIPT

HUNG = """
import atexit, threading
from sweeps.engine.workers.watchdog import WATCHED, leave
atexit.register(print, "torn down")
threading.Thread(target=threading.Event().wait, args=({seconds},), name=WATCHED, daemon=True).start()
print("done")
leave(3)
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT
    )


@pytest.mark.parametrize(("seconds", "said"), [("None", "done\n"), ("0", "done\ntorn down\n")])
def test_a_hung_thread_does_not_change_the_status(seconds: str, said: str) -> None:
    """Nothing is torn down under a thread that hangs: torch's libraries would abort the process."""
    done = python(HUNG.format(seconds=seconds))
    assert (done.returncode, done.stdout, done.stderr) == (3, said, "")


def test_an_interrupt_during_imports_is_a_sentence() -> None:
    done = python("import sweeps; raise KeyboardInterrupt")
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0
    assert "Traceback" in python("import sweeps; raise ValueError").stderr


def test_an_interrupt_before_the_ledger_exists_names_no_run_to_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeps.engine.command.drive", interrupted)
    assert run(small_sweep(), ["--workers", "0", "--out", str(tmp_path / "run")]) == 130
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert "repeat the command" in last
    assert "--resume" not in last
    monkeypatch.setattr("sweeps.engine.command.parse", interrupted)
    assert run(small_sweep(), []) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.slow
def test_a_text_that_the_terminal_cannot_show_is_shown_as_its_code(encoding: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--dry-run", "--workers", "0", "--out", str(tmp_path / "\u6587")],
        capture_output=True, timeout=PATIENCE_S, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u6587" in done.stdout
    assert b"loss.color" in done.stdout


@pytest.mark.slow
def test_a_closed_output_is_no_fault() -> None:
    closed = f"{sys.executable} {SCRIPT} --dry-run --workers 0 >&-"
    done = subprocess.run(["sh", "-c", closed], capture_output=True, timeout=PATIENCE_S, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_a_reader_that_has_gone_ends_the_process_like_sigpipe() -> None:
    """As `| head` does. The pipe is closed before anything is written, so that no buffer hides it."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--dry-run", "--workers", "0"],
        stdout=writing, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False, cwd=ROOT,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal_cuts_nothing_off(width: int) -> None:
    wanted, options = parse(small_sweep(), ["--workers", "0"], "x")
    printed = io.StringIO()
    Console(file=printed, width=width, markup=False).print(render_plan(wanted, options))
    said = "".join(printed.getvalue().split())
    assert "\u2026" not in said
    assert str(options.out) in said
