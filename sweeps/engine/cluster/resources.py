"""Where a run happens: in this process, on Ray of this machine, or on a cluster; and what there is to run on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.engine.environment import default_device, has_bf16

LOCAL = "local"
"""`--address local`: this machine, whatever TESTSTRIP_ADDRESS says."""

ADDRESS, RUNS = "TESTSTRIP_ADDRESS", "TESTSTRIP_RUNS"


class NotReady(RuntimeError):
    """Machines of the cluster on which trials cannot be trained, each with the reason and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "the cluster is not ready, and nothing was computed:\n" + "\n".join(f"  - {p}" for p in problems)
        )


@dataclass(frozen=True)
class Capacity:
    """What a machine or a cluster has: trials at a time, the device they train on, whether every processor multiplies
    bfloat16, and the cores of the machine that has the fewest."""

    workers: int
    device: str
    bf16: bool
    cores: int


def this_machine(device: str | None = None) -> Capacity:
    """The capacity of this machine; with `device` as if it had that one."""
    cores = len(os.sched_getaffinity(0))
    return Capacity(cores, device or default_device(), has_bf16(), cores)


def cluster_address(asked: str | None, workers: int | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The cluster to join: what --address says, else TESTSTRIP_ADDRESS, which a cluster's nodes export for the scripts
    that are submitted to them. Never RAY_ADDRESS, which may be there for something else. None: this machine."""
    if asked is None and workers == 0:  # this process was asked for, on whatever machine
        return None
    address = asked if asked is not None else environment.get(ADDRESS) or None
    return None if address == LOCAL else address


def runs_folder(environment: Mapping[str, str] = os.environ) -> str:
    """Where a run without --out gets its place: in TESTSTRIP_RUNS, which a cluster's nodes may export, else `runs`."""
    return os.path.expanduser(environment.get(RUNS) or "runs")
