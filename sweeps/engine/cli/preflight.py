"""The checks before a run on a cluster: join it, find out what it has, and check every machine.

All problems of all machines are reported at once, before anything is computed or recorded. A run on one machine needs
none of this. On machines that join later, the workers that start there make the same checks.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enhance.config import Scalar
from enhance.config.files import FILE
from enhance.data import PatchStore
from enhance.data.storage.delivery import StoreTransfer
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.options import Options
from sweeps.engine.cluster import shared_folder
from sweeps.engine.cluster.auth import settle_access
from sweeps.engine.cluster.node_check import Facts, Requirements, decisive_versions
from sweeps.engine.cluster.resources import Capacity, NotReady
from sweeps.engine.environment import code_hash
from sweeps.engine.space import Choice, inner
from sweeps.engine.sweep import Sweep

if TYPE_CHECKING:  # they load Ray
    from sweeps.engine.cluster.nodes import Node, NodeAgents

WAIT_S = 120.0
"""How long to wait for machines that `ray up` is still starting."""

Say = Callable[[str], None]


@contextlib.contextmanager
def joined(options: Options, say: Say) -> Iterator["Cluster"]:
    """Join the cluster at `options.address` while the context lasts. Raises AccessError, ConnectionError, NotReady."""
    assert options.address is not None, "there is a cluster to join"
    access = settle_access(options.address, insecure=options.insecure)
    for warning in access.warnings:
        say(warning)
    # Imported here: it imports Ray, which reads how to authenticate at that moment, and `settle_access` has set it.
    from sweeps.engine.cluster.ray_session import join_cluster, stop_ray

    join_cluster(access.address)
    try:
        yield _surveyed(options, say)
    finally:
        stop_ray()


@dataclass
class Cluster:
    """A cluster that this process has joined: its capacity, the machines that train, and facts about each by its id."""

    capacity: Capacity
    nodes: "list[Node]"
    facts: dict[str, Facts]
    agents: "NodeAgents"

    @contextlib.contextmanager
    def checked(self, sweep: Sweep, options: Options, store: PatchStore) -> Iterator[Requirements]:
        """Check every machine and send the data to those that lack them; also to those that join during the context.

        Raises NotReady with the problems of all machines.
        """
        from sweeps.engine.cluster.nodes import send

        shown = shared_folder.show(options.out) if isinstance(options.out, Path) and not options.unshared else None
        try:
            transfer = StoreTransfer.of(store)
            required = Requirements(
                code=code_hash(),
                versions=decisive_versions(),
                device=options.device,
                weights=_weights(sweep),
                folder_check=shown,
                transfer=transfer,
                sender=send(transfer),
            )
            found = self.agents.problems(required)
            if shown is not None:
                found += _unanswered(shown, self.nodes, found)
            found += self._differences() if options.reproducible else []
            # Before the first trial, since they hold memory, and before a refusal, which nothing outlives.
            self.agents.dismiss()
            if found:
                raise NotReady(found)
            yield required
        finally:
            if shown is not None:
                shared_folder.hide(shown)

    def _differences(self) -> list[str]:
        """A problem if --reproducible meets machines of several kinds: they round differently in the last bits."""
        kinds = {node.name: (self.facts[node.id].processor, *self.facts[node.id].gpus) for node in self.nodes}
        if len(set(kinds.values())) < 2:
            return []
        listed = "; ".join(f"{name} has {', '.join(kind)}" for name, kind in kinds.items())
        return [f"--reproducible needs machines of one kind, since different ones round differently: {listed}"]


def _surveyed(options: Options, say: Say) -> Cluster:
    """The cluster, with what its machines say about themselves. Raises NotReady or UsageError."""
    from sweeps.engine.cluster.nodes import NodeAgents

    device = options.device_asked
    nodes = _wait_for_nodes(options, say)
    if device == "auto":
        device = "cuda" if any(node.slots("cuda") for node in nodes) else "cpu"
    training = [node for node in nodes if node.slots(device)]
    agents = NodeAgents(training)
    facts, silent = agents.facts()
    if silent:
        raise NotReady(silent)
    known = list(facts.values())
    # An autoscaling cluster may have no machine yet. Then latency is measured on one thread, which every machine has.
    cores = min((fact.cores for fact in known), default=1)
    capacity = Capacity(
        workers=sum(node.slots(device) for node in training),
        device=device,
        bf16=bool(known) and all(fact.bf16 for fact in known),
        cores=cores,
        gpus=tuple((int(node.cpus), int(node.gpus)) for node in training),
    )
    return Cluster(capacity, training, facts, agents)


def _wait_for_nodes(options: Options, say: Say) -> "list[Node]":
    """The cluster's machines, once there is one to train on.

    An autoscaling cluster may start with none, and adds them for what is requested; then there is nothing to wait for.
    """
    from sweeps.engine.cluster.nodes import living_nodes

    device = "cuda" if options.device_asked == "cuda" else "cpu"
    # With --workers and --device it is known what to request, and Ray's autoscaler starts machines for that.
    named = not options.elastic and options.device_asked != "auto"
    until = time.monotonic() + WAIT_S
    nodes, told = living_nodes(), False
    while not any(node.slots(device) for node in nodes) and not named:
        if time.monotonic() > until:
            have = ", ".join(f"{node.name}: {node.cpus:g} cores, {node.gpus:g} GPUs" for node in nodes)
            raise UsageError(
                f"no machine of the cluster has a free slot for {device} ({have}). `ray monitor cluster.yaml` shows "
                "why workers are missing; an autoscaling cluster needs --workers N --device cpu|cuda to start any"
            )
        if not told:
            say(f"waiting up to {WAIT_S:g} s for the cluster's workers")
            told = True
        time.sleep(1.0)
        nodes = living_nodes()
    return nodes


def _unanswered(shown: shared_folder.SharedFolderCheck, nodes: "list[Node]", found: list[str]) -> list[str]:
    """Problems of machines that see the driver's file in the folder, while the driver does not see theirs."""
    # Machines with a problem of their own may never have written a file.
    said = [node for node in nodes if not any(problem.startswith(f"{node.name}:") for problem in found)]
    lost = [node for node in said if not shared_folder.has_answered(shown, node.id)]
    return [
        f"{node.name}: the driver does not see what it writes to {shown.folder}; choose an --out on storage that every "
        "node sees at the same path, or --unshared"
        for node in lost
    ]


def _weights(sweep: Sweep) -> tuple[str, ...]:
    """Every file of pretrained weights that a trial of the sweep may read."""

    def files(values: Mapping[str, Scalar]) -> set[str]:
        return {value for value in values.values() if isinstance(value, str) and value.startswith(FILE)}

    choices = [own.values for entry in sweep.space.values() if isinstance(own := inner(entry), Choice)]
    named = set().union(*map(files, (sweep.fixed, *sweep.enqueue.values())))
    return tuple(sorted(named | {v for c in choices for v in c if isinstance(v, str) and v.startswith(FILE)}))
