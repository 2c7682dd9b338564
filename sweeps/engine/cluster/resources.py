"""Where a run takes place (this machine or a cluster), what that has, and where results go by default."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.engine.environment import default_device, gpu_count, has_bf16

LOCAL = "local"
"""`--address local` means this machine, even if TESTSTRIP_ADDRESS is set."""

ADDRESS, RUNS = "TESTSTRIP_ADDRESS", "TESTSTRIP_RUNS"


class NotReady(RuntimeError):
    """Some machines of the cluster cannot train; the message gives the reason and the remedy for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "the cluster is not ready, and nothing was computed:\n" + "\n".join(f"  - {p}" for p in problems)
        )


@dataclass(frozen=True)
class Capacity:
    """What a machine or a cluster offers.

    `workers` trials train at a time, on `device` ("cpu" or "cuda"). `bf16`: every processor has bfloat16 in hardware.
    `cores` are those of the smallest machine. `gpus` has an entry for each machine, its cores and its GPUs.
    """

    workers: int
    device: str
    bf16: bool
    cores: int
    gpus: tuple[tuple[int, int], ...] = ()

    def places(self, per_device: int) -> int:
        """Trials that train at a time if so many share a GPU; each needs a core as well."""
        return sum(min(cores, per_device * gpus) for cores, gpus in self.gpus)


def this_machine(device: str | None = None) -> Capacity:
    """The capacity of this machine; `device` replaces the default one."""
    # Not `os.cpu_count()`, which ignores that Slurm or a container may give this process fewer.
    cores = len(os.sched_getaffinity(0))
    return Capacity(cores, device or default_device(), has_bf16(), cores, ((cores, gpu_count()),))


def cluster_address(asked: str | None, workers: int | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The address of the cluster to join; None for this machine.

    It is --address, else TESTSTRIP_ADDRESS, which a cluster's nodes export for submitted scripts. RAY_ADDRESS does not
    count: it may be set for another purpose.
    """
    # --workers 0 means this process, even on a node of a cluster.
    if asked is None and workers == 0:
        return None
    address = asked if asked is not None else environment.get(ADDRESS) or None
    return None if address == LOCAL else address


def runs_folder(environment: Mapping[str, str] = os.environ) -> str:
    """The folder or store of runs without --out: TESTSTRIP_RUNS, which a cluster's nodes may export, else `runs`."""
    return os.path.expanduser(environment.get(RUNS) or "runs")


SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""The longest path that the system allows for a socket."""


def socket_problem(environment: Mapping[str, str] = os.environ) -> str:
    """Why Ray cannot make its sockets on this machine, with the remedy; "" if it can.

    Ray puts them into a folder per session, in RAY_TMPDIR, else TMPDIR, else /tmp.
    """
    folder = environment.get("RAY_TMPDIR") or environment.get("TMPDIR") or "/tmp"
    # Any date will do, since all have the same length.
    longest = f"{folder}/ray/session_2026-01-31_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
    if len(os.fsencode(longest)) <= SOCKET_BYTES:
        return ""
    return (
        f"the temporary folder {folder} is too long for Ray's sockets: {len(os.fsencode(longest))} bytes in all, and "
        f"the system allows {SOCKET_BYTES}; set RAY_TMPDIR to a short folder such as /tmp"
    )
