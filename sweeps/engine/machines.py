"""Starting and ending Ray: on this machine, or by joining a cluster. Only the waiting is hidden, nothing is skipped."""

import importlib
import logging
import os
import threading
from typing import Any

import ray

_NEEDED_LATER = ("analysis.frontier", "analysis.tables")
"""What the driver loads anyway at the end; none of it is part of Ray, whose imports must not run beside ray.init."""


def start_ray(address: str | None, workers: int) -> None:
    """Join the cluster at `address`, or start Ray on this machine with `workers` slots.

    Raises ConnectionError where there is no cluster at the address.
    """
    # Ray starts a process per slot at once; they load torch while the driver still waits for Ray and loads Tune.
    os.environ.update(RAY_preload_python_modules="sweeps.engine.worker")
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        os.environ.pop("RAY_ADDRESS", None)  # a cluster is joined when --address says so, never by inheritance
        options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 100_000_000}
    loading = threading.Thread(target=lambda: [importlib.import_module(name) for name in _NEEDED_LATER])
    loading.start()
    ray.init(address=address, **options)
    loading.join()


def stop_ray_meanwhile() -> None:
    """Stop Ray in the background (it takes a second); the interpreter does not exit before that is done."""
    threading.Thread(target=ray.shutdown).start()
