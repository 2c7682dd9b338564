"""The live report follows the ledger, waits while there is none, and answers only this machine."""

import html
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.report.live import LivePage, server
from tests.analysis.written_ledgers import lost_row, run_row, trial_row, write_rows
from tests.patience import PATIENCE_S
from tests.places import ROOT

Write = Callable[..., Path]


@contextmanager
def serving(run: Path) -> Iterator[str]:
    with server([run], 0) as own:
        thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{own.server_address[1]}"
        finally:
            own.shutdown()
            thread.join()


def get(address: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=PATIENCE_S) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        text: str = answer.read().decode()
        return text


def version(address: str) -> str:
    found: str = json.loads(get(f"{address}/version"))["version"]
    return found


@pytest.mark.slow
def test_the_page_grows_with_the_ledger(write: Write) -> None:
    run = write([trial_row(0)])
    with serving(run) as address:
        before, text = version(address), get(f"{address}/")
        assert f'data-live="{before}"' in text
        assert "connect-src 'self'" in html.unescape(text)
        assert '"number":[0]' in text
        assert version(address) == before
        write_rows(run / "trials" / "0002.parquet", [trial_row(1, 21.0)])
        after, text = version(address), get(f"{address}/")
        assert after != before
        assert f'data-live="{after}"' in text
        assert '"number":[0,1]' in text


def test_a_run_with_nothing_ended_waits(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with serving(run) as address:
        assert "there is no ledger in" in get(f"{address}/")
        write_rows(run / "runs" / "0001.parquet", [run_row()])
        before, text = version(address), get(f"{address}/")
        assert "no trial of" in text
        assert f'data-live="{before}"' in text
        write_rows(run / "trials" / "0001.parquet", [lost_row(0)])
        assert version(address) != before
        assert "Endings" in get(f"{address}/")


def test_a_page_is_built_once_for_each_state_of_the_ledger(write: Write) -> None:
    live = LivePage([write([trial_row(0)])])
    assert live.html() is live.html()


def test_only_this_machine_is_answered(write: Write) -> None:
    with serving(write([trial_row(0)])) as address:
        assert "<h1" in get(address, Host="localhost:1234")
        for host in ("evil.example", "evil.example:80", ""):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                get(address, Host=host)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{address}/etc/passwd")
        port = address.rsplit(":", 1)[1]
        assert main(["report", "--live", "--port", port, str(write([trial_row(0)], name="other"))]) == 2


def test_a_run_that_is_no_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--live", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupt_ends_it(write: Write) -> None:
    command = [sys.executable, "-W", "error", "-m", "analysis", "report", "--live", str(write([trial_row(0)]))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a shell does not
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=hears) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert "<h1" in get(address)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
