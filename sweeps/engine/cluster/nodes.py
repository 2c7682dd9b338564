"""The machines of a cluster: which there are, the actors that check them, and the one that sends them the data."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from enhance.data.storage.delivery import StoreTransfer
from sweeps.engine.cluster.node_check import Facts, Requirements, facts, problems

START_S = 180.0
"""A machine has this long to start a process with the driver's code and to say what it has."""

RESTARTS = 2
"""How often the process that checks a machine may die before the machine counts as unfit."""

LOOK_S = 2.0
"""Seconds between two requests to Ray for its list of machines."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that is alive. Messages call it by `name`; `id` is Ray's."""

    id: str
    name: str
    cpus: float
    gpus: float

    def slots(self, device: str, gpu_share: float = 1.0) -> int:
        """Trials that fit at a time, each with a core, and on "cuda" with `gpu_share` of a GPU."""
        if device == "cuda":
            # In floating point, 1 / (1 / n) may be a hair below n.
            return min(int(self.cpus), math.floor(self.gpus / gpu_share + 1e-6))
        return int(self.cpus)


def living_nodes() -> list[Node]:
    """The machines of the cluster that this process has joined."""
    # `ray.nodes` also lists those that have left.
    known = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    addresses = [node["NodeManagerAddress"] for node in known]
    found = []
    for node in known:
        address, resources = node["NodeManagerAddress"], node["Resources"]
        # Several nodes may run on one machine, as in a test.
        which = f", {node['NodeID'][:8]}" if addresses.count(address) > 1 else ""
        name = f"{node['NodeManagerHostname']} ({address}{which})"
        found.append(Node(node["NodeID"], name, resources.get("CPU", 0.0), resources.get("GPU", 0.0)))
    return found


def gpu_share(workers: int, gpus: float) -> float:
    """The share of a GPU for each worker, at most 1: equal parts if there are more workers than GPUs."""
    # Rounded up, so that a whole number of workers fits on each GPU: three on two GPUs get a half each.
    return 1.0 / max(1, math.ceil(workers / gpus)) if gpus else 1.0


def most_together(nodes: Sequence[Node]) -> int:
    """How many trials can share a GPU on every machine: each has a core of its own."""
    return min((int(node.cpus / node.gpus) for node in nodes if node.gpus), default=1)


class Watch:
    """Notices machines that join or leave. Asks Ray at most every LOOK_S seconds, however often it is called."""

    def __init__(self) -> None:
        self.nodes = living_nodes()
        self._looked = time.monotonic()

    def slots(self, device: str, share: float) -> int:
        """Trials that the machines can train at a time."""
        return sum(node.slots(device, share) for node in self.nodes)

    def changes(self) -> list[str]:
        """A sentence about each machine that has joined or left since the last call."""
        if time.monotonic() - self._looked < LOOK_S:
            return []
        before, self.nodes, self._looked = self.nodes, living_nodes(), time.monotonic()
        ids = {node.id for node in before}
        gone = {node.id for node in before} - {node.id for node in self.nodes}
        said = [f"{node.name} has joined the cluster" for node in self.nodes if node.id not in ids]
        return said + [
            f"{node.name} has left the cluster; its trials start again elsewhere" for node in before if node.id in gone
        ]


class NodeAgents:
    """One process on each machine that checks it. `dismiss` them before trials start, since they hold memory."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)
        # Started again if they die: on a busy machine, Ray ends processes that take long to register with it.
        again = {"max_restarts": RESTARTS, "max_task_retries": RESTARTS}
        self._agents = {node.id: _on(node.id, _NodeAgent, **again).remote() for node in nodes}

    def facts(self) -> tuple[dict[str, Facts], list[str]]:
        """What each machine has, by its id, and a sentence about each that did not answer."""
        return self._ask(lambda agent: agent.facts.remote(), START_S)

    def problems(self, required: Requirements) -> list[str]:
        """What keeps the machines from training: sentences that begin with a machine's name."""
        # No time limit: a machine that lacks the data fetches them now.
        answers, silent = self._ask(lambda agent: agent.problems.remote(required), None)
        return silent + [f"{node.name}: {said}" for node in self.nodes for said in answers.get(node.id, [])]

    def dismiss(self) -> None:
        """End the processes."""
        for agent in self._agents.values():
            ray.kill(agent)
        self._agents.clear()

    def _ask(self, question: Callable[[Any], Any], patience_s: float | None) -> tuple[dict[str, Any], list[str]]:
        # Ask all before waiting for the first, so that they answer at the same time.
        asked = {node: question(self._agents[node.id]) for node in self.nodes}
        answers, silent = {}, []
        for node, answer in asked.items():
            try:
                answers[node.id] = ray.get(answer, timeout=patience_s)
            except ray.exceptions.GetTimeoutError:
                silent.append(f"{node.name}: no process of this project started there within {patience_s:g} s; {_LOGS}")
            except ray.exceptions.RayError as error:
                silent.append(f"{node.name}: this project does not run there: {_cause(error)}; {_LOGS}")
        return answers, silent


_LOGS = (
    "see /tmp/ray/session_latest/logs there, install what is missing (`pip install -c constraints.txt -e .`), or "
    "remove the node from the cluster"
)


def send(transfer: StoreTransfer) -> str:
    """Start the actor on this machine from which the others fetch the packed data; returns its name.

    It reads a chunk only when one is requested, so that neither it nor Ray's object store holds more than a few.
    """
    # With the process ID, since another driver on the cluster may send the same data.
    name = f"teststrip-{transfer.fingerprint}-{os.getpid()}"
    here = ray.get_runtime_context().get_node_id()
    sender = _on(here, _Sender, name=name).remote(transfer)
    _SENDERS[name] = sender
    return name


_SENDERS: dict[str, Any] = {}
"""Handles of the senders: Ray ends a named actor when its last handle is gone."""


def fetch_from(sender: str) -> Callable[[int], bytes]:
    """A function that gets a chunk of the data, by index, from the actor called `sender`."""

    def fetch(index: int) -> bytes:
        answer: Any = ray.get_actor(sender).chunk.remote(index)
        return bytes(ray.get(answer))

    return fetch


def this_node() -> str:
    """Ray's id of the machine that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def name_of(node_id: str) -> str:
    """What messages call the machine."""
    return next((node.name for node in living_nodes() if node.id == node_id), f"node {node_id[:8]}")


class _Sender:
    def __init__(self, transfer: StoreTransfer) -> None:
        self.transfer = transfer

    def chunk(self, index: int) -> bytes:
        return self.transfer.chunk(index)


class _NodeAgent:
    def __init__(self) -> None:
        # Ray hides the GPUs from an actor that requests none; this one has to see them, and ends before trials start.
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)

    def facts(self) -> Facts:
        return facts()

    def problems(self, required: Requirements) -> list[str]:
        return problems(required, this_node(), fetch_from(required.sender), thorough=True)


def _on(node_id: str, actor: type, **options: Any) -> Any:
    """The class as an actor on one machine, without taking a slot from the trials."""
    # Not `soft`: if the machine has gone, an answer from another one would be wrong.
    place = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(actor).options(num_cpus=0, scheduling_strategy=place, **options)


def _cause(error: BaseException) -> str:
    """The last line with a message: the text of Ray's errors is a whole traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ": " in line), lines[-1] if lines else type(error).__name__)
