"""Starting and ending Ray: on this machine, or by joining a cluster."""

import logging
import os
import socket
from typing import Any

import ray

CONNECT_S = 10.0


def start_ray(address: str | None, workers: int) -> None:
    """Join the cluster at `address`, or start Ray on this machine with `workers` slots.

    Raises ConnectionError where there is no cluster at the address.
    """
    # Ray starts a process per slot at once; they load torch while the driver still waits for Ray and loads Tune.
    os.environ.update(RAY_preload_python_modules="sweeps.engine.warm")
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        os.environ.pop("RAY_ADDRESS", None)  # a cluster is joined when --address says so, never by inheritance
        options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 100_000_000}
    else:
        _check_answers(address)
    ray.init(address=address, **options)
    if address is None:
        _end_autoscaler()


def _check_answers(address: str) -> None:
    """Ray itself asks for minutes before it says that nobody is there."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal():
        raise ConnectionError(f"--address {address}: write HOST:PORT, or auto for the cluster of this machine")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise ConnectionError(f"--address {address}: no Ray answers there ({error.strerror or error})") from None


def _end_autoscaler() -> None:
    """A Ray of one machine has nothing to scale, and its autoscaler takes a second to notice that it shall end."""
    node = ray._private.worker._global_node
    assert node is not None, "Ray of this machine has been started"
    node.kill_monitor(check_alive=False)


def stop_ray() -> None:
    """Leave the cluster, or stop the Ray of this machine. Sooner than at exit, where Ray waits for late messages."""
    ray.shutdown()
