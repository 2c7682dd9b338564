"""A worker: takes trial after trial in one warm process, with everything a trial can touch built anew for each."""

import socket
import time
import traceback
from pathlib import Path

import torch
import torch._dynamo  # the first optimizer would load it, 0.8 s: here that is over before the first trial

from enhance.config import from_flat
from enhance.data import PatchStore
from enhance.guard import Diverged
from enhance.microrun import MicroRun
from enhance.report import Report
from sweeps.engine.environment import THREADS
from sweeps.engine.messages import Assignment, Progress

torch.set_num_threads(THREADS)
torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32: evaluation and the color curves are promised in it


class Worker:
    """`start` a trial, then `advance` it from rung to rung until told otherwise."""

    def __init__(self, store: Path, device: str) -> None:
        self.data = PatchStore.open(store)
        self.device = device
        self._assignment: Assignment | None = None
        self._run: MicroRun | None = None

    def start(self, assignment: Assignment) -> None:
        """Forget the trial before and take this one. Nothing is built yet, so nothing can fail here."""
        self._assignment, self._run = assignment, None
        self._started = time.perf_counter()

    def advance(self) -> Progress:
        """Train to the next rung. Whatever goes wrong is an answer, not an exception: the process stays warm."""
        assert self._assignment is not None, "advance() before start()"
        try:
            return self._progress(self._advance(self._assignment), "", "")
        except Diverged as error:
            return self._progress(None, "diverged", str(error))
        except (MemoryError, torch.OutOfMemoryError) as error:
            return self._progress(None, "failed", f"out of memory: {_one_line(error)}")
        except Exception as error:  # noqa: BLE001 - a trial may fail in any way; each is an ending with its reason
            return self._progress(None, "failed", _one_line(error))

    def _advance(self, assignment: Assignment) -> Report:
        if self._run is None:
            self._run = MicroRun(from_flat(assignment.config), assignment.seed, self.data, self.device)
        done = self._run.step
        return self._run.advance(next(step for step in assignment.rung_steps if step > done) - done)

    def _progress(self, report: Report | None, ending: str, reason: str) -> Progress:
        assert self._assignment is not None
        return Progress(
            trial=self._assignment.trial,
            report=report,
            ending=ending,
            reason=reason,
            parameters=self._run.parameters if self._run else None,
            host=socket.gethostname(),
            wall_s=time.perf_counter() - self._started,
        )


def _one_line(error: BaseException) -> str:
    """Kind, message and place of an exception: what a row of the ledger can hold."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
