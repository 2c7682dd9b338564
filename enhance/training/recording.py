"""Steps that are recorded once and replayed: for a GPU, where launching small operations takes longer than they do.

A step's device half, `compute`, runs the same operations on the same memory as long as its topology stays the same. So
the first one is recorded (as a CUDA graph), and from then on one call replays it. A recording knows addresses and
nothing of trials: the next trial of the same kind moves its tensors to those addresses and goes on without recording.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from enhance.memory import lack_of_memory

Memory = dict[str, Tensor]
"""Tensors that outlive a step, by name: weights, moments, what was staged, the pool."""

WARM_UP = 3
"""Steps before a recording, as many as torch's documentation takes."""


class Recorder(Protocol):
    """Records the device's operations once, and repeats them."""

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Run `work` a few times before it is recorded."""
        ...

    def record(self, work: Callable[[], Any], generators: list[torch.Generator]) -> Any:
        """Record what `work` does, which draws from `generators`, and return its result.

        The values of the tensors are undefined afterwards.
        """
        ...

    def replay(self) -> None:
        """Run the recorded operations again, on the same memory. The result of `record` holds their results."""
        ...


class GraphRecorder:
    """Records a CUDA graph."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # Autograd's nodes remember the stream of the first backward pass, so it must be the one that is captured.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def warm_up(self, work: Callable[[], Any]) -> None:
        """Run `work` a few times, so that libraries choose their kernels and optimizers make their moments."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(self._stream)

    def record(self, work: Callable[[], Any], generators: list[torch.Generator]) -> Any:
        """Capture `work` without running it."""
        for generator in generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph, stream=self._stream):
            return work()

    def replay(self) -> None:
        """Launch the graph on the current stream; evaluations run on the same one, so neither waits for the other."""
        self._graph.replay()


class Recordable(Protocol):
    """A trial whose steps can be recorded."""

    @property
    def topology(self) -> Hashable:
        """Equal as long as `compute` runs the same operations."""
        ...

    def compute(self) -> Any:
        """The device half of a step; its result consists of tensors."""
        ...

    def tensors(self, like: Mapping[str, Tensor]) -> Memory:
        """All tensors that outlive a step. Those that only `like` has so far are made, as zeros of the same shape."""
        ...

    def generators(self) -> list[torch.Generator]:
        """The generators that `compute` draws from."""
        ...

    def use_generators(self, generators: list[torch.Generator]) -> None:
        """Draw from these from now on, seeded as the own ones are."""
        ...


@dataclass(eq=False)
class Machine:
    """The memory that trials of one kind share, one after the other, and what was recorded on it, by topology.

    The `tenant` is the trial whose values it holds now.
    """

    memory: Memory = field(default_factory=dict)
    generators: list[torch.Generator] = field(default_factory=list)
    recordings: dict[Hashable, tuple[Recorder, Any]] = field(default_factory=dict)
    # Why a topology could not be recorded: the next trial need not try again.
    refused: dict[Hashable, str] = field(default_factory=dict)
    tenant: object = None
    # Recordings also read constants of the trial that they were made with, which must not be freed.
    owners: list[object] = field(default_factory=list)


class Machines:
    """The `most` machines that were used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Machine] = OrderedDict()

    def forget(self) -> bool:
        """Forget all; whether there was any."""
        found = bool(self._kept)
        self._kept.clear()
        return found

    def get(self, kind: Hashable) -> Machine:
        """The machine for trials of this kind, a new one if there is none."""
        machine = self._kept.pop(kind, None) or Machine()
        self._kept[kind] = machine
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return machine


class RecordedSteps:
    """Takes the steps of one trial on a machine. `why_eager` says why some were not recorded; "" if all were."""

    def __init__(self, trial: Recordable, machine: Machine, new_recorder: Callable[[], Recorder]) -> None:
        self._trial, self._machine, self._new_recorder = trial, machine, new_recorder
        self.why_eager = ""
        self._topology: Hashable | None = None
        self._moved: set[str] = set()

    def take(self) -> Any:
        """Take the step that was staged, and return what `compute` does. It is overwritten by the next step.

        Raises RuntimeError if another trial has moved in since.
        """
        if self._moved and self._machine.tenant is not self:
            raise RuntimeError("another trial has begun on the memory of this one: train them one after the other")
        topology = self._trial.topology
        if topology != self._topology:
            # A critic that joins brings tensors that were not there before.
            self._move_in()
            self._topology = topology
        if topology not in self._machine.recordings and topology not in self._machine.refused:
            self._record()
        if topology in self._machine.refused:
            self.why_eager = self._machine.refused[topology]
            return self._trial.compute()
        recorder, result = self._machine.recordings[topology]
        recorder.replay()
        return result

    @torch.no_grad()
    def _move_in(self) -> None:
        """Move the trial's tensors, values included, to the addresses that the recordings know."""
        lasting, self._machine.tenant = self._machine.memory, self
        for name, own in self._trial.tensors(lasting).items():
            if name in lasting and name not in self._moved:
                lasting[name].copy_(own)
                own.data = lasting[name]
                self._moved.add(name)
        if self._machine.generators:
            self._trial.use_generators(self._machine.generators)

    def _record(self) -> None:
        trial, machine = self._trial, self._machine
        before = {name: own.detach().clone() for name, own in trial.tensors({}).items()}
        recorder = self._new_recorder()
        recorder.warm_up(trial.compute)
        self._restore(before)
        try:
            result = recorder.record(trial.compute, trial.generators())
        except RuntimeError as error:
            # Without memory an eager step would fail as well, and the trial is to end for that reason.
            if lack_of_memory(error):
                raise
            machine.refused[trial.topology] = f"recording failed: {_first_line(error)}"
            self._restore(before)
            return
        self._restore(before)
        machine.recordings[trial.topology] = recorder, result
        machine.memory |= trial.tensors({})
        self._moved |= machine.memory.keys()
        machine.generators = trial.generators()
        machine.owners.append(trial)

    @torch.no_grad()
    def _restore(self, before: Memory) -> None:
        """Undo the steps before a recording. What they made was not there: moments begin at zero."""
        for name, own in self._trial.tensors({}).items():
            if name in before:
                own.copy_(before[name])
            else:
                own.zero_()
        for generator in self._trial.generators():
            generator.manual_seed(generator.initial_seed())


def _first_line(error: BaseException) -> str:
    """What an error says, as far as it fits into a cell of a table; torch's go on with advice."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]
