"""A report that follows a running sweep: a local server that reads the ledger again whenever it has grown.

The page polls `/version` and reloads when that changes; it shows the ledger as of the last load. The server writes no
files and answers only requests from this machine.
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
# At most this share of the time goes into building pages: the sweep needs the cores.
_SHARE = 0.1


class LivePage:
    """The page of some runs, rebuilt on request if their files have changed."""

    def __init__(self, runs: Sequence[Path]) -> None:
        self._runs, self._names = runs, run_names(runs)
        self._lock = Lock()
        self._built = ("", "")
        self._said: set[str] = set()
        self.wait_s = _LEAST_WAIT_S
        """How long a page should wait before it polls again, in seconds; grows with the time to build the page."""

    def version(self) -> str:
        """A digest of the names and sizes of the ledgers' files. A ledger only gains files; none ever changes."""
        digest = hashlib.sha256()
        for run in self._runs:
            # Samples are left out: their rows come with a completed trial, which has a row of its own.
            for path in sorted(path for name in TABLES for path in (run / name).glob("*.parquet")):
                digest.update(f"{path}:{path.stat().st_size}\n".encode())
        return digest.hexdigest()[:16]

    def html(self) -> str:
        """The page for the present state of the ledgers."""
        # Each request has its own thread: the first one builds the page, the others wait for it.
        with self._lock:
            version = self.version()
            if self._built[0] != version:
                began = time.monotonic()
                self._built = (version, self._page(version))
                self.wait_s = max(_LEAST_WAIT_S, (time.monotonic() - began) / _SHARE)
            return self._built[1]

    def _page(self, version: str) -> str:
        """The report, or a waiting page if a ledger cannot be read yet."""
        try:
            readings = read_all(self._runs)
        except LedgerError as error:
            return waiting_page(self._names, [f"{error}.", *error.notes], version)
        notes = dict.fromkeys(note for reading in readings for note in reading.ledger.notes)
        say_notes(note for note in notes if note not in self._said)
        # A page is built every few seconds, but a note is news only once.
        self._said.update(notes)
        return page(readings, live=version)


def server(runs: Sequence[Path], port: int) -> ThreadingHTTPServer:
    """A server for the live page of `runs` on the loopback address; port 0 takes a free one.

    Raises LedgerError if a run is not a folder or is given twice, or if the port is not available.
    """
    missing = [str(run) for run in runs if not run.is_dir()]
    if missing:
        raise LedgerError(f"{missing[0]} is not a folder; start the sweep first, or name its folder")
    live = LivePage(runs)
    try:
        return ThreadingHTTPServer((_LOOPBACK, port), _handler(live))
    except (OSError, OverflowError) as error:
        raise LedgerError(f"port {port} is not available ({error}); choose another one with --port") from error


def _handler(live: LivePage) -> type[BaseHTTPRequestHandler]:
    # A class per page: the server makes a handler for each request and passes it nothing of ours.
    class Handler(BaseHTTPRequestHandler):
        """Answers `/` and `/version`, to pages of this server only."""

        def do_GET(self) -> None:
            # DNS rebinding: a foreign page whose name now resolves to this machine sends that name as its Host.
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
            # A cached page would show an old state and poll for the wrong version.
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: a page polls every two seconds."""

    return Handler
