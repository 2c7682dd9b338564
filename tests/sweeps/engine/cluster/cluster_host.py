"""A Ray cluster of several nodes on this machine, in a process of its own: a line of JSON asks, a line answers.

    {"do": "add", "cpus": 1, "environment": {...}}   -> {"id": ..., "address": ...}     the first one is the head
    {"do": "remove", "id": ...}                      -> {"id": ...}                     its processes are killed

`environment` is that of the node's processes. Ends, and everything with it, when its input does.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from tests.patience import PATIENCE_S

MEMORY_BYTES = 80_000_000


class Cluster:
    """The side of a test. `environment` is for those who join, with the cluster's token."""

    def __init__(self, process: "subprocess.Popen[str]", environment: dict[str, str]) -> None:
        self._process, self.environment = process, environment
        self.address = ""

    def add(self, cpus: int, **environment: str) -> str:
        """Start a node whose processes have these variables too; its id."""
        answer = self._ask(do="add", cpus=cpus, environment=environment)
        self.address = answer["address"]
        return str(answer["id"])

    def kill(self, node: str) -> None:
        """End the processes of a node, as a lost machine would."""
        self._ask(do="remove", id=node)

    def _ask(self, **wish: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextlib.contextmanager
def running_nodes(environment: Mapping[str, str]) -> Iterator[Cluster]:
    """A cluster without nodes as yet; the first one that is added is its head."""
    folder = tempfile.mkdtemp(prefix="tn-", dir="/tmp")  # short: Ray puts sockets there, whose paths have 107 bytes
    own = {**environment, "RAY_TMPDIR": folder, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    command = [sys.executable, "-m", "tests.sweeps.engine.cluster.cluster_host"]
    host = subprocess.Popen(
        command, env=own, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Cluster(host, own)
    finally:
        host.communicate(timeout=PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def serve() -> None:
    """The process: what `Cluster` asks for, done with Ray's own means."""
    from ray.cluster_utils import Cluster as RayCluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray talks on standard output
    cluster = RayCluster(shutdown_at_exit=True)
    nodes: dict[str, Any] = {}
    for line in sys.stdin:
        wish = json.loads(line)
        if wish["do"] == "add":
            head = {} if nodes else {"include_dashboard": False}
            node = cluster.add_node(
                num_cpus=wish["cpus"], object_store_memory=MEMORY_BYTES, env_vars=wish["environment"], **head
            )
            nodes[node.node_id] = node
            answers.write(json.dumps({"id": node.node_id, "address": cluster.address}) + "\n")
        else:
            cluster.remove_node(nodes.pop(wish["id"]), allow_graceful=False)
            answers.write(json.dumps({"id": wish["id"]}) + "\n")
        answers.flush()
    cluster.shutdown()


if __name__ == "__main__":
    serve()
