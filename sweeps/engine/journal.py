"""The journal: Optuna's study as a file that `optuna-dashboard` and `optuna.load_study` open.

    JournalStorage(JournalFileBackend("RUN/optuna.journal"))

Optuna's own backend locks the file and waits for the disk at every operation, about ten per trial. The ledger is what a
run resumes from; this file is written anew from it at every start, so it may be torn or missing, and nothing waits.
A dashboard that was open across a resume must be started again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class Journal(BaseJournalBackend):
    """The only writer of `path`, and for one storage only: it reads back what that one has just written, from memory.

    Every operation is one line of JSON, as in Optuna's JournalFileBackend, and is given to the operating system at
    once, so that a reader sees it. Raises OSError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"")
        self.path = path
        self._written = 0
        self._unread: list[bytes] = []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        with self.path.open("ab", buffering=0) as file:
            file.write(b"".join(lines))
        self._unread += lines
        self._written += len(lines)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations that the storage has not applied yet; those before are forgotten."""
        self._unread = self._unread[len(self._unread) - (self._written - log_number_from) :]
        yield from (json.loads(line) for line in tuple(self._unread))
