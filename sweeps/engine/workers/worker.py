"""A worker: trains one trial after another in one warm process. Whatever a trial can change is rebuilt for each.

A worker can also be given a measurement: one network whose cost it measures while nothing else is running.
"""

import io
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

# The first optimizer would import it (0.8 s). Here that is done before the first trial.
import torch._dynamo
from torch import Tensor

from enhance.conditions import Cost
from enhance.config import ConfigError, from_flat
from enhance.data import PatchStore
from enhance.memory import DEVICE, lack_of_memory, release
from enhance.microrun import MicroRun
from enhance.report import Report
from enhance.rules.step import MACHINES
from enhance.samples import Photo, Sample, SampleRequest
from enhance.training.guard import Diverged
from sweeps.engine.environment import THREADS
from sweeps.engine.protocol import (
    EACH,
    LAST,
    Answer,
    Assignment,
    Measured,
    Measurement,
    Progress,
    Work,
    lost_measurement,
)
from sweeps.engine.workers.watchdog import Hung, run_watched

torch.set_num_threads(THREADS)
# fp32 means fp32: evaluation and the color curves promise it. By default torch allows TF32 in convolutions only.
torch.backends.cudnn.allow_tf32 = False

STATE_LIMIT_BYTES = 16 << 20
"""A larger state is not kept: the driver holds one for every trial that waits at a rung."""


class Worker:
    """`start` a trial, then `advance` it from rung to rung until told otherwise.

    With a `timeout_s`, a trial that makes no progress for that many seconds ends as failed. Progress is building the
    micro-run, each training step (critic steps included) and each batch of an evaluation, so the timeout must exceed
    the longest of these. A thread that hangs cannot be ended: the worker is then `tainted`, and its process must be
    replaced. `per_device` workers may share a GPU. Raises ValueError for a timeout that is not positive.
    """

    def __init__(self, store: Path, device: str, *, timeout_s: float | None = None, per_device: int = 1) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise ValueError(f"timeout_s={timeout_s!r} must be > 0, or None for no timeout")
        self.data = PatchStore.open(store)
        self.device, self.timeout_s = device, timeout_s
        self.per_device = per_device if device == "cuda" else None
        self.tainted = False
        self._assignment: Work | None = None
        self._measured_beats = 0
        self._run: MicroRun | None = None

    def start(self, assignment: Work) -> None:
        """Drop the previous trial and take this one, which continues from its `state`. Nothing is built yet.

        Raises RuntimeError if the worker is tainted.
        """
        if self.tainted:
            raise RuntimeError("a training thread hangs in this process: it must be replaced before the next trial")
        self._assignment, self._run = assignment, None
        self._started = time.perf_counter()

    def advance(self) -> Answer:
        """Train to the next rung, or measure. Every failure is an answer, not an exception: the process stays warm."""
        assert self._assignment is not None, "advance() before start()"
        self._advancing_since = time.perf_counter()
        if self.timeout_s is None:
            return self._attempt(self._assignment)
        try:
            return run_watched(self._attempt_in_thread, self._beats, self.timeout_s)
        except Hung as error:
            self.tainted = True
            step = f" (step {self._run.step if self._run else 0})" if isinstance(self._assignment, Assignment) else ""
            return self._failed(f"timeout: no progress for {error.patience_s:g} s{step} (at {error.place})")

    def state(self) -> bytes:
        """The micro-run's state, from which another worker can continue: bytes, so that the driver needs no torch."""
        assert self._run is not None, "state() before advance()"
        packed = io.BytesIO()
        torch.save(_copy_tensors(self._run.state_dict()), packed)
        return packed.getvalue()

    def _wanted_state(self, assignment: Assignment) -> bytes | None:
        """The state if it is requested. One for a pause is None if too large: the trial is then trained again."""
        if not (assignment.pauses or assignment.checkpoints):
            return None
        state = self.state()
        return state if assignment.checkpoints or len(state) <= STATE_LIMIT_BYTES else None

    def _attempt_in_thread(self) -> Answer:
        # torch keeps this number per thread.
        torch.set_num_threads(THREADS)
        assert self._assignment is not None
        return self._attempt(self._assignment)

    def _attempt(self, assignment: Work) -> Answer:
        answer = self._try(assignment)
        if isinstance(answer, Progress) and answer.device_full:
            # Recordings that earlier trials left here may have taken the memory: without them it is tried once more,
            # from the beginning. Not inside `except`, where the error still refers to the trial's tensors.
            retried = MACHINES.forget()
            self._run = None
            release(self.device)
            answer = self._try(assignment) if retried else answer
        return answer

    def _try(self, assignment: Work) -> Answer:
        try:
            if isinstance(assignment, Measurement):
                return Measured(assignment.network, self._cost(assignment), socket.gethostname())
            report = self._advance(assignment)
            return self._reported(report, assignment)
        except Diverged as error:
            return self._progress(None, "diverged", str(error))
        except ConfigError as error:
            return self._progress(None, "refused", "; ".join(error.problems))
        except Exception as error:  # noqa: BLE001 - a trial may fail in any way; each becomes an ending with its reason
            return self._failed(lack_of_memory(error) + _one_line(error))

    def _cost(self, measurement: Measurement) -> Cost:
        # Imported here, because few sweeps measure and the import takes time.
        from enhance.cost import holds_here, measure

        if measurement.earlier is not None and holds_here(measurement.earlier):
            return measurement.earlier
        return measure(from_flat(measurement.config).net, measurement.conditions, self._beat)

    def _advance(self, assignment: Assignment) -> Report:
        if self._run is None:
            self._run = self._build(assignment)
        done = self._run.step
        return self._run.advance(next(step for step in assignment.rung_steps if step > done) - done)

    def _reported(self, report: Report, assignment: Assignment) -> Progress:
        """A report, with what was requested beside it: the last one needs no state, since nothing comes after it."""
        assert self._run is not None
        last = report.step == assignment.rung_steps[-1]
        if last:
            progress = self._progress(report, "", "", samples=self._samples(assignment.wanted))
        else:
            progress = self._progress(report, "", "", self._wanted_state(assignment))
        send = assignment.weights == EACH or (last and assignment.weights == LAST)
        return replace(progress, weights=self._run.weights()) if send else progress

    def _samples(self, wanted: SampleRequest) -> tuple[Sample, ...]:
        assert self._run is not None
        found = self._run.samples(wanted.fixed) if wanted.fixed else []
        return (*found, *map(self._photo_sample, wanted.photos))

    def _photo_sample(self, photo: Photo) -> Sample:
        assert self._run is not None
        try:
            return self._run.photo_sample(photo)
        except Exception as error:  # noqa: BLE001 - the trial is complete without the photo; its row says what failed
            return Sample(image=photo.image, scores={}, output=None, failure=lack_of_memory(error) + _one_line(error))

    def _build(self, assignment: Assignment) -> MicroRun:
        run = MicroRun(from_flat(assignment.config), assignment.seed, self.data, self.device)
        if assignment.state is not None:
            # `weights_only`: a state comes over the network, and an unrestricted pickle could run code here.
            run.load_state_dict(torch.load(io.BytesIO(assignment.state), weights_only=True))
        return run

    def _beat(self) -> None:
        self._measured_beats += 1

    def _beats(self) -> int:
        # Minus one, so that a run that has just been built (0 beats) is progress over none.
        return self._run.beats if self._run else self._measured_beats - 1

    def _failed(self, reason: str) -> Answer:
        if isinstance(self._assignment, Measurement):
            return lost_measurement(self._assignment, reason, socket.gethostname())
        return self._progress(None, "failed", reason)

    def _progress(
        self,
        report: Report | None,
        ending: str,
        reason: str,
        state: bytes | None = None,
        samples: tuple[Sample, ...] = (),
    ) -> Progress:
        assert isinstance(self._assignment, Assignment)
        now_s = time.perf_counter()
        return Progress(
            trial=self._assignment.trial,
            report=report,
            ending=ending,
            reason=reason,
            parameters=self._run.parameters if self._run else None,
            host=socket.gethostname(),
            wall_s=now_s - self._started,
            steps=self._run.step if self._run else 0,
            unreported_s=0.0 if report else now_s - self._advancing_since,
            state=state,
            samples=samples,
            captured=self._run.captured if self._run else None,
            per_device=self.per_device,
            device_full=reason.startswith(DEVICE),
        )


def _copy_tensors(value: Any) -> Any:
    """A copy of nested dictionaries, lists and tuples whose tensors hold neither a graph nor the storage they view."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {name: _copy_tensors(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy_tensors(part) for part in value)
    return value


def _one_line(error: BaseException) -> str:
    """Kind, message and place of an exception on one line, for a row of the ledger."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
