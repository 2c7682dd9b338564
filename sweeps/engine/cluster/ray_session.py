"""Starting and ending Ray: on this machine, or by joining a cluster."""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import ray

from sweeps.engine.cluster.ray_internals import JOB_CONFIG, PRELOAD, end_autoscaler
from sweeps.engine.environment import ENHANCE

PACKAGES = ("enhance", "sweeps", "analysis")

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


def start_ray(workers: int) -> None:
    """Start Ray on this machine with `workers` slots."""
    # Ray starts a process per slot at once. They load torch while the driver still waits for Ray and loads Tune.
    os.environ[PRELOAD] = "sweeps.engine.workers.preload"
    _never_by_inheritance()
    # Without "local" Ray would rather join a cluster that happens to run on this machine.
    ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=100_000_000, **_QUIET)
    end_autoscaler()


def join_cluster(address: str) -> None:
    """Join the cluster at `address`, HOST:PORT. Its nodes get the code of this process, whatever is installed there.

    Raises ConnectionError where it cannot be joined.
    """
    _never_by_inheritance()
    with tempfile.TemporaryDirectory(prefix="teststrip-code-") as folder:
        try:
            ray.init(address=address, **_runtime(Path(folder)), **_QUIET)
        except RuntimeError as error:  # another version of Ray or Python, say
            raise ConnectionError(f"the cluster at {address} cannot be joined: {error}") from None


def stop_ray() -> None:
    """Leave the cluster, or stop the Ray of this machine. Sooner than at exit, where Ray waits for late messages."""
    ray.shutdown()


def _never_by_inheritance() -> None:
    """Which cluster is joined is said by --address; Ray would put RAY_ADDRESS even before what it is told."""
    os.environ.pop("RAY_ADDRESS", None)
    logging.getLogger("ray").setLevel(logging.ERROR)


def _runtime(folder: Path) -> dict[str, Any]:
    """What makes workers run this process's code: its packages as their working directory.

    Without one, Ray would put the driver's current directory before everything else on the workers' path, and what lies
    there on another node may be of another day. A driver that came by `ray job submit --working-dir` has one.
    """
    if "working_dir" in os.environ.get(JOB_CONFIG, ""):
        return {}
    for package in PACKAGES:
        shutil.copytree(ENHANCE.parent / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return {"runtime_env": {"working_dir": str(folder)}}
