"""A report that follows a running sweep: a server on this machine only, which reads the ledger again when it has grown.

The page asks for `/version` and reloads when that has changed; what is on the page is what was in the ledger when it
was asked for. Nothing is written anywhere, and nobody but this machine is answered.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from analysis.ledger.files import LedgerError
from analysis.ledger.names import run_names
from analysis.ledger.schema import TABLES
from analysis.output import say_notes
from analysis.report.page import page, waiting_page
from analysis.report.reading import read_all

_LOOPBACK = "127.0.0.1"
_LEAST_WAIT_S = 2.0
_SHARE = 0.1  # of the time, at most, goes into building pages


class LivePage:
    """The page of some runs, built anew when their files have changed since it was last asked for."""

    def __init__(self, runs: Sequence[Path]) -> None:
        self._runs, self._names = runs, run_names(runs)
        self._lock = Lock()
        self._built = ("", "")
        self._said: set[str] = set()
        self.wait_s = _LEAST_WAIT_S
        """After how long a page should ask again: longer where building takes long."""

    def version(self) -> str:
        """A digest of the names and sizes of all files of the ledgers. A file of a ledger never changes."""
        digest = hashlib.sha256()
        for run in self._runs:
            for path in sorted(path for name in TABLES for path in (run / name).glob("*.parquet")):
                digest.update(f"{path}:{path.stat().st_size}\n".encode())
        return digest.hexdigest()[:16]

    def html(self) -> str:
        """The page for what is in the ledgers now."""
        with self._lock:
            version = self.version()
            if self._built[0] != version:
                began = time.monotonic()
                self._built = (version, self._page(version))
                self.wait_s = max(_LEAST_WAIT_S, (time.monotonic() - began) / _SHARE)
            return self._built[1]

    def _page(self, version: str) -> str:
        """The report, or where there is nothing to report yet the sentence that says so."""
        try:
            readings = read_all(self._runs)
        except LedgerError as error:
            return waiting_page(self._names, [f"{error}.", *error.notes], version)
        notes = dict.fromkeys(note for reading in readings for note in reading.ledger.notes)
        say_notes(note for note in notes if note not in self._said)
        self._said.update(notes)
        return page(readings, live=version)


def server(runs: Sequence[Path], port: int) -> ThreadingHTTPServer:
    """A server for the live page of `runs` on the loopback address; port 0 takes a free one.

    Raises LedgerError where a run is no folder or is named twice, or the port cannot be had.
    """
    missing = [str(run) for run in runs if not run.is_dir()]
    if missing:
        raise LedgerError(f"{missing[0]} is not a folder; start the sweep first, or name its folder")
    live = LivePage(runs)
    try:
        return ThreadingHTTPServer((_LOOPBACK, port), _handler(live))
    except (OSError, OverflowError) as error:
        raise LedgerError(f"port {port} cannot be had ({error}); choose another one with --port") from error


def _handler(live: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers `/` and `/version`, to pages of this server only."""

        def do_GET(self) -> None:
            # A page of another origin whose name was made to point here would come with its own name as host.
            host = self.headers.get("Host", "").rsplit(":", 1)[0]
            if host not in (_LOOPBACK, "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN, "this server answers to 127.0.0.1 and localhost only")
            elif self.path.split("?")[0] == "/":
                self._answer(live.html(), "text/html; charset=utf-8")
            elif self.path == "/version":
                self._answer(json.dumps({"version": live.version(), "wait_s": live.wait_s}), "application/json")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(HTTPStatus.OK)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A page asks every two seconds; nobody wants to read that."""

    return Handler
