"""The machines of a cluster as Ray knows them, and the actors that ask them and send them the data."""

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
"""How long a machine may take to start a process with the driver's code, and that to say what the machine has."""

LOOK_S = 2.0
"""How often Ray is asked which machines there are."""


@dataclass(frozen=True)
class Node:
    """A living machine of the cluster; `name` is what sentences call it."""

    id: str
    name: str
    cpus: float
    gpus: float

    def slots(self, device: str, gpu_share: float = 1.0) -> int:
        """Trials at a time, each with a core, and with `gpu_share` of a GPU where they train on GPUs."""
        if device == "cuda":
            return min(int(self.cpus), math.floor(self.gpus / gpu_share + 1e-6))
        return int(self.cpus)


def living_nodes() -> list[Node]:
    """The machines of the cluster that has been joined."""
    known = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    addresses = [node["NodeManagerAddress"] for node in known]
    found = []
    for node in known:
        address, resources = node["NodeManagerAddress"], node["Resources"]
        which = f", {node['NodeID'][:8]}" if addresses.count(address) > 1 else ""
        name = f"{node['NodeManagerHostname']} ({address}{which})"
        found.append(Node(node["NodeID"], name, resources.get("CPU", 0.0), resources.get("GPU", 0.0)))
    return found


def gpu_share(workers: int, gpus: float) -> float:
    """What each worker gets of a GPU where there may be more workers than GPUs: whole ones, or equal parts."""
    return 1.0 / max(1, math.ceil(workers / gpus)) if gpus else 1.0


class Watch:
    """Says which machines came and went; asks Ray now and then, however often it is asked."""

    def __init__(self) -> None:
        self.nodes = living_nodes()
        self._looked = time.monotonic()

    def slots(self, device: str, share: float) -> int:
        """Trials at a time on the machines that there are."""
        return sum(node.slots(device, share) for node in self.nodes)

    def changes(self) -> list[str]:
        """Sentences about machines that have come or gone since the last time."""
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
    """One process on each machine that answers questions about it. `dismiss` them before trials start."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)
        self._scouts = {node.id: _on(node.id, _Scout).remote() for node in nodes}

    def facts(self) -> tuple[dict[str, Facts], list[str]]:
        """What each machine has, by its id, and a sentence about each that did not say."""
        return self._ask(lambda agent: agent.facts.remote(), START_S)

    def problems(self, required: Requirements) -> list[str]:
        """What keeps the machines from training, in sentences that name them."""
        answers, silent = self._ask(lambda agent: agent.problems.remote(required), None)
        return silent + [f"{node.name}: {said}" for node in self.nodes for said in answers.get(node.id, [])]

    def dismiss(self) -> None:
        """End the processes."""
        for agent in self._scouts.values():
            ray.kill(agent)
        self._scouts.clear()

    def _ask(self, question: Callable[[Any], Any], patience_s: float | None) -> tuple[dict[str, Any], list[str]]:
        asked = {node: question(self._scouts[node.id]) for node in self.nodes}
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
    "see /tmp/ray/session_latest/logs there, install what lacks (`pip install -c constraints.txt -e .`), or take the "
    "node out of the cluster"
)


def send(transfer: StoreTransfer) -> str:
    """Start the actor from which machines fetch the packed data, here; the name by which they find it.

    It reads a chunk when one is asked for: neither it nor Ray's store ever holds more than a few.
    """
    name = f"teststrip-{transfer.fingerprint}-{os.getpid()}"
    here = ray.get_runtime_context().get_node_id()
    sender = _on(here, _Sender, name=name).remote(transfer)
    _SENDERS[name] = sender
    return name


_SENDERS: dict[str, Any] = {}
"""A named actor lives as long as a handle of it does."""


def fetch_from(sender: str) -> Callable[[int], bytes]:
    """How a machine gets a chunk from the actor `sender`."""

    def fetch(index: int) -> bytes:
        answer: Any = ray.get_actor(sender).chunk.remote(index)
        return bytes(ray.get(answer))

    return fetch


def this_node() -> str:
    """Ray's id of the machine on which this process runs."""
    return str(ray.get_runtime_context().get_node_id())


def name_of(node_id: str) -> str:
    """What sentences call the machine."""
    return next((node.name for node in living_nodes() if node.id == node_id), f"node {node_id[:8]}")


class _Sender:
    def __init__(self, transfer: StoreTransfer) -> None:
        self.transfer = transfer

    def chunk(self, index: int) -> bytes:
        return self.transfer.chunk(index)


class _Scout:
    def __init__(self) -> None:
        # Ray hides the GPUs from a process that has asked for none. This one trains nothing, and ends.
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)

    def facts(self) -> Facts:
        return facts()

    def problems(self, required: Requirements) -> list[str]:
        return problems(required, this_node(), fetch_from(required.sender), thorough=True)


def _on(node_id: str, actor: type, **options: Any) -> Any:
    """The class as an actor of one machine that takes no slot."""
    place = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(actor).options(num_cpus=0, scheduling_strategy=place, **options)


def _cause(error: BaseException) -> str:
    """The last line that says something: Ray's texts are tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ": " in line), lines[-1] if lines else type(error).__name__)
