"""`python -m sweeps.engine.cluster.auth_probe ADDRESS`: asks a Ray cluster for its machines, and prints the answer.

Each question has a process of its own, since Ray reads how to authenticate (RAY_AUTH_MODE, the token) once per process,
and since a question that hangs can be ended. Prints one line of JSON: `answer` is "yes", "token" (the cluster wants a
token, or another one) or "no"; `machines` their addresses; `said` Ray's own words; `address` the cluster's HOST:PORT.
"""

import json
import socket
import sys

from ray.exceptions import AuthenticationError

from sweeps.engine.cluster.ray_internals import cluster_nodes


def probe(address: str) -> dict[str, object]:
    """Ask the cluster at `address` ("auto": the one of this machine) once."""
    found: dict[str, object] = {"answer": "no", "machines": [], "said": "", "address": address}
    try:
        resolved, nodes = cluster_nodes(address)
    except AuthenticationError as error:
        return {**found, "answer": "token", "said": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever Ray raises, the cluster has not answered
        return {**found, "said": str(error)}
    return {**found, "answer": "yes", "machines": list(nodes.values()), "address": resolved}


def nodes_of_this_machine(address: str) -> list[str]:
    """The ids of the cluster's living nodes that have an address of this machine."""
    _, nodes = cluster_nodes(address)
    return [node for node, machine in nodes.items() if _is_here(machine)]


def _is_here(address: str) -> bool:
    """A socket can be bound only to an address of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Asking the name service instead would miss interfaces that have no name. Port 0 is any free one, and UDP sends
    # nothing.
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        try:
            opened.bind((address, 0))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
