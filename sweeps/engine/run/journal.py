"""The journal: Optuna's study as a file that `optuna-dashboard` and `optuna.load_study` open.

    JournalStorage(JournalFileBackend("RUN/optuna.journal"))

Optuna's own backend locks the file and waits for the disk at every operation, about ten per trial. The ledger is what a
run resumes from; this file is written anew from it at every start, so it may be torn or missing, and nothing waits.
A dashboard that was open across a resume must be started again.
"""

import json
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState


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


class Storage(JournalStorage):
    """Optuna's storage over a journal that nobody else writes: whether a trial waits is known without a search.

    `Study.ask` looks among all trials for one that was enqueued: 2 ms of an ask after 2,000 trials.
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
        if states != (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        enqueued = {trial_id: self.get_trial(trial_id) for trial_id in self._enqueued}
        waiting = {trial_id: trial for trial_id, trial in enqueued.items() if trial.state == TrialState.WAITING}
        self._enqueued = list(waiting)
        return list(waiting.values())
