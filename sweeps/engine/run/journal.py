"""The journal: Optuna's study as a file that `optuna-dashboard` and `optuna.load_study` open.

    JournalStorage(JournalFileBackend("RUN/optuna.journal"))

Optuna's own backend locks the file and waits for the disk at every operation, about ten per trial. We need neither: a
run resumes from its ledger, and never from this file, which may be torn or missing. A resumed run deletes the study in
it and appends a new one, so that a dashboard that is open follows: it remembers how far it has read.
"""

import json
import os
from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

# Private, but the numbers are the file format, which Optuna must keep readable.
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState

MOST_BYTES = 64 << 20
"""A journal beyond this size is begun anew: a reproducible search of thousands appends its study at every batch."""


class Journal(BaseJournalBackend):
    """A journal with one writer, one storage, which reads back from memory what it has just written.

    Each operation is one line of JSON, as in Optuna's JournalFileBackend, and goes to the operating system at once, so
    that readers see it. Raises OSError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._studies, self._trials = _counts(path)
        self._written = 0
        self._unread: list[bytes] = []
        # Only the last study can still be there: each journal deletes the one before it. No worker has the id "", so
        # no reader takes a study that was deleted twice for an error of its own.
        if self._studies:
            deleted = {"op_code": int(JournalOperation.DELETE_STUDY), "worker_id": "", "study_id": self._studies - 1}
            self._append([deleted])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        # Optuna numbers studies and trials in the order in which they are created. Readers count from the beginning of
        # the file, this process from its own study: the file gets shifted numbers, and memory those of this process.
        before = {"study_id": self._studies, "trial_id": self._trials}
        self._append([log | {name: log[name] + count for name, count in before.items() if name in log} for log in logs])
        self._unread += map(_line, logs)
        self._written += len(logs)

    def _append(self, logs: list[dict[str, Any]]) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(b"".join(map(_line, logs)))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations from `log_number_from` on, which the storage has not applied yet; earlier ones are dropped."""
        # `log_number_from` counts from the study's first operation, and `_unread` begins somewhere after it.
        self._unread = self._unread[len(self._unread) - (self._written - log_number_from) :]
        yield from (json.loads(line) for line in tuple(self._unread))


def _line(log: dict[str, Any]) -> bytes:
    return json.dumps(log, separators=(",", ":")).encode() + b"\n"


def _counts(path: Path) -> tuple[int, int]:
    """How many studies and trials the file has ever held. Removes a torn last line, which no reader has accepted yet.

    Replaces a file that is too large, or is not a journal, with an empty one. Open dashboards must then be restarted.
    """
    try:
        content = path.read_bytes() if path.exists() and path.stat().st_size <= MOST_BYTES else b""
        whole = content[: content.rfind(b"\n") + 1]
        codes = Counter(json.loads(line)["op_code"] for line in whole.splitlines())
    except (ValueError, KeyError, TypeError):
        whole, codes = b"", Counter()
    if whole:
        os.truncate(path, len(whole))
    else:
        path.write_bytes(b"")
    return codes[JournalOperation.CREATE_STUDY], codes[JournalOperation.CREATE_TRIAL]


class Storage(JournalStorage):
    """Optuna's storage over a `Journal`, with a list of the trials that are enqueued.

    `Study.ask` looks for an enqueued trial among all trials, which takes 2 ms after 2,000 trials. With one writer the
    list is always right.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(Journal(path))
        self._enqueued: list[int] = []

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        if template_trial is not None and template_trial.state == TrialState.WAITING:
            self._enqueued.append(trial_id)
        return trial_id

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        # Exactly what `Study.ask` wants to know; everybody else gets Optuna's own answer.
        if states != (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        enqueued = {trial_id: self.get_trial(trial_id) for trial_id in self._enqueued}
        waiting = {trial_id: trial for trial_id, trial in enqueued.items() if trial.state == TrialState.WAITING}
        self._enqueued = list(waiting)
        return list(waiting.values())
