"""What `python -m analysis` prints where the output is no usual terminal: other encodings, closed streams, `| head`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.analysis.written_ledgers import trial_row
from tests.patience import PATIENCE_S
from tests.places import ROOT


def analyze(run: Path, stdout: int, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "analysis", "frontier", str(run)]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, env=environment, cwd=ROOT, check=False, timeout=PATIENCE_S
    )


@pytest.mark.slow
def test_a_reader_that_has_gone_ends_the_command_like_sigpipe(write: Callable[..., Path]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = analyze(write([trial_row(1), trial_row(2)]), writing)
    os.close(writing)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_text_that_the_output_cannot_show_is_printed_as_its_code(write: Callable[..., Path], encoding: str) -> None:
    run = write([trial_row(1, label="\u6587"), trial_row(2, label="other")])
    done = analyze(run, subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert rb"\u6587" in done.stdout
