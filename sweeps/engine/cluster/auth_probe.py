"""`python -m sweeps.engine.cluster.auth_probe ADDRESS`: asks a Ray cluster for its machines, and says how it answers.

A process of its own for each question: how Ray introduces itself (RAY_AUTH_MODE, the token) is settled once in a
process, and a question that hangs can be ended. Prints a line of JSON: `answer` is "yes", "token" (it wants another
token, or one at all) or "no"; `machines` their addresses; `said` Ray's own words; `address` where the cluster is.
"""

import json
import socket
import sys

from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

ALIVE = 0  # GcsNodeInfo.GcsNodeState.ALIVE


def knock(address: str) -> dict[str, object]:
    """One question to the cluster at `address` ("auto": the one that this machine is of)."""
    found = {"answer": "no", "machines": [], "said": "", "address": address}
    try:
        found["address"] = canonicalize_bootstrap_address_or_die(address)
        known = GcsClient(address=found["address"]).get_all_node_info()
    except AuthenticationError as error:
        return {**found, "answer": "token", "said": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever Ray raises, the cluster has not answered
        return {**found, "said": str(error)}
    machines = [node.node_manager_address for node in known.values() if node.state == ALIVE]
    return {**found, "answer": "yes", "machines": machines}


def nodes_of_this_machine(address: str) -> list[str]:
    """The ids of the cluster's living nodes that have an address of this machine."""
    known = GcsClient(address=address).get_all_node_info()
    return [key.hex() for key, node in known.items() if node.state == ALIVE and _is_here(node.node_manager_address)]


def _is_here(address: str) -> bool:
    """Only an address of this machine can be bound to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    print(json.dumps(knock(sys.argv[1])))
