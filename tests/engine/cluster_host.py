"""A Ray cluster of several nodes on this machine, in a process of its own: a line of JSON asks, a line answers.

    {"do": "add", "cpus": 1, "environment": {...}}   -> {"id": ...}     the first one is the head
    {"do": "remove", "id": ...}                      -> {"id": ...}     its processes are killed

Ends, and everything with it, when its input does.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster


def serve() -> None:
    cluster = Cluster(initialize_head=False, shutdown_at_exit=True)
    nodes: dict[str, Any] = {}
    for line in sys.stdin:
        wish = json.loads(line)
        if wish["do"] == "add":
            options = {"include_dashboard": False, "dashboard_port": None} if not nodes else {}
            node = cluster.add_node(
                num_cpus=wish["cpus"],
                object_store_memory=80_000_000,
                env_vars=wish["environment"] or None,
                **options,
            )
            nodes[node.node_id] = node
            print(json.dumps({"id": node.node_id, "address": cluster.address}), flush=True)
        else:
            cluster.remove_node(nodes.pop(wish["id"]), allow_graceful=False)
            print(json.dumps({"id": wish["id"]}), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    tempfile.tempdir = str(Path(sys.argv[1]))
    serve()
