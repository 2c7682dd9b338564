"""Measures what sharing a GPU brings: processes train side by side on it, as workers do. For `sharing.py`.

Each process has a GPU context of its own, as a worker has: threads of one process would share what processes do not.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from enhance.config import Scalar, from_flat
from sweeps.engine.environment import THREADS
from sweeps.engine.workers.sharing import Needs

Flat = dict[str, Scalar]


class ProbeFailed(RuntimeError):
    """A process of the probe failed, for another reason than a lack of memory."""


class DeviceProbe:
    """Processes that train on `device`, the one that this process sees first. As a context manager it ends them.

    `configs` are those of which the largest is trained (flat leaves); `store` is the path of the packed data. Raises
    ProbeFailed from every method.
    """

    def __init__(self, configs: Sequence[Flat], store: Path, device: str) -> None:
        self._configs, self._store, self._device = list(configs), store, device
        self._largest: Flat = {}
        self._lanes: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process, pipe in self._lanes:
            pipe.close()
            process.join()

    def needs(self) -> Needs:
        """The needs of the largest configuration, which later lanes train."""
        process, pipe = _begin(_survey, self._configs, self._store, self._device)
        found = _answer(pipe)
        process.join()
        if found is None:
            raise ProbeFailed("no memory is left on the GPU")
        self._largest, taken, free, busy = found
        return Needs(taken, free, busy)

    def steps_per_s(self, together: int) -> float | None:
        """Training steps per second of `together` lanes at once; None if memory ran out."""
        while len(self._lanes) < together:
            self._lanes.append(_begin(_lane, self._largest, self._store, self._device))
        # A lane says once that it is ready; those of an earlier call have said so.
        pipes = [pipe for _, pipe in self._lanes]
        for pipe in pipes:
            pipe.send("ready?")
        if any(_answer(pipe) is None for pipe in pipes):
            return None
        for pipe in pipes:
            pipe.send("go")
        rates = [_answer(pipe) for pipe in pipes]
        return None if None in rates else sum(rates)


def _begin(work: Any, *arguments: Any) -> tuple[BaseProcess, Connection]:
    ours, theirs = multiprocessing.Pipe()
    # Spawned, since CUDA cannot be used in a fork of a process that has used it.
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _answer(pipe: Connection) -> Any:
    try:
        kind, said = pipe.recv()
    except (EOFError, ConnectionError):
        raise ProbeFailed("a process of the probe died") from None
    if kind == "failed":
        raise ProbeFailed(said)
    return said


def _survey(pipe: Connection, configs: list[Flat], store: Path, device: str) -> None:
    """Find the largest configuration, and how busy it keeps the device: sends (config, bytes, free bytes, busy)."""

    def found() -> Any:
        from enhance.config import flatten
        from enhance.data import PatchStore
        from enhance.occupancy import Lane, largest

        data = PatchStore.open(store)
        most = largest([from_flat(config) for config in configs], data, device)
        # What fills the device alone is trained by no lane.
        busy = 1.0 if most.bytes >= most.free_bytes else Lane(most.config, data, device).busy()
        return flatten(most.config), most.bytes, most.free_bytes, busy

    _send(pipe, found)


def _lane(pipe: Connection, config: Flat, store: Path, device: str) -> None:
    """Train when told so, until the other end closes."""
    lane: list[Any] = []

    def ready() -> bool:
        from enhance.data import PatchStore
        from enhance.occupancy import Lane

        if not lane:
            lane.append(Lane(from_flat(config), PatchStore.open(store), device))
        return True

    try:
        while word := pipe.recv():
            _send(pipe, ready if word == "ready?" else lane[0].steps_per_s)
    except (EOFError, ConnectionError):
        return


def _send(pipe: Connection, work: Any) -> None:
    """Send what `work` returns: None if memory ran out, and the message of any other error."""
    from enhance.memory import lack_of_memory
    from enhance.occupancy import use_threads

    use_threads(THREADS)
    try:
        pipe.send(("found", work()))
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver is told
        pipe.send(("found", None) if lack_of_memory(error) else ("failed", f"{type(error).__name__}: {error}"))
