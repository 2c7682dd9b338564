"""Start Ray on this machine or join a cluster, and stop it again."""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import ray

from sweeps.engine.cluster.ray_internals import JOB_CONFIG, PRELOAD, end_autoscaler
from sweeps.engine.cluster.resources import socket_problem
from sweeps.engine.environment import ENHANCE

PACKAGES = ("enhance", "sweeps", "analysis")

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


def start_ray(workers: int) -> None:
    """Start Ray on this machine with `workers` slots. Raises ConnectionError if its sockets cannot be made."""
    if problem := socket_problem():
        raise ConnectionError(problem)
    # Ray starts a process per slot at once. They load torch while the driver still waits for Ray and loads Tune.
    os.environ[PRELOAD] = "sweeps.engine.workers.preload"
    _prepare()
    # Without "local" Ray would join a cluster that already runs on this machine. Workers read the data from files, so
    # the object store holds messages only; by default Ray would give it 30 % of the memory.
    ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=100_000_000, **_QUIET)
    end_autoscaler()


def join_cluster(address: str) -> None:
    """Join the cluster at `address`, HOST:PORT. Its workers run the code of this process, whatever is installed there.

    Raises ConnectionError if it cannot be joined.
    """
    _prepare()
    # Ray uploads the folder inside `ray.init`, so it can be deleted afterwards.
    with tempfile.TemporaryDirectory(prefix="teststrip-code-") as folder:
        try:
            ray.init(address=address, **_runtime(Path(folder)), **_QUIET)
        except RuntimeError as error:
            # For example, because the cluster has another version of Ray or Python.
            raise ConnectionError(f"the cluster at {address} cannot be joined: {error}") from None


def stop_ray() -> None:
    """Leave the cluster, or stop Ray on this machine. Ray does so at exit too, but then waits for late messages."""
    ray.shutdown()


def _prepare() -> None:
    """What must be done before every `ray.init`."""
    # Only --address decides which cluster is joined: RAY_ADDRESS would override even the argument of `ray.init`.
    os.environ.pop("RAY_ADDRESS", None)
    # `logging_level` takes effect only inside `ray.init`.
    logging.getLogger("ray").setLevel(logging.ERROR)


def _runtime(folder: Path) -> dict[str, Any]:
    """Options of `ray.init` that ship this process's packages to the workers, as their working directory.

    Without one, Ray puts the path of the driver's current directory first on the workers' path, where another node may
    have an older checkout. A driver that was started by `ray job submit --working-dir` has one already.
    """
    if "working_dir" in os.environ.get(JOB_CONFIG, ""):
        return {}
    for package in PACKAGES:
        shutil.copytree(ENHANCE.parent / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return {"runtime_env": {"working_dir": str(folder)}}
