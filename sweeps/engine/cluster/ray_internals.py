"""Everything that we use of Ray beyond its public API, in one place. Read in Ray 2.60.

Each part says which public way is missing. Ray may change any of them in a minor version, so pyproject.toml caps Ray at
the one that was read. To raise the cap, read the parts again and run test_ray_internals.py. Ray's modules are imported
where they are used: a process that asks a cluster one question does not load Tune.
"""

from pathlib import Path
from typing import Any

VERSION = "2.60"
"""The minor version of Ray in which these parts were read."""

PRELOAD = "RAY_preload_python_modules"
"""Modules that Ray's worker processes load as soon as they start; a setting of the raylet that is not documented."""

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where `ray job submit` leaves the job's runtime environment, which its driver must not set a second time."""

NODE_ALIVE = 0
"""`GcsNodeInfo.GcsNodeState.ALIVE`."""


def cluster_nodes(address: str) -> tuple[str, dict[str, str]]:
    """The cluster's HOST:PORT, and the addresses of its living nodes by id in hexadecimal digits.

    `address` may be "auto", for the cluster of this machine. `ray.nodes` would answer only after joining the cluster.
    Raises ray.exceptions.AuthenticationError if the cluster refuses the token of this process.
    """
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    resolved = str(canonicalize_bootstrap_address_or_die(address))
    known = GcsClient(address=resolved).get_all_node_info()
    return resolved, {key.hex(): node.node_manager_address for key, node in known.items() if node.state == NODE_ALIVE}


def session_folder() -> Path:
    """The folder of this machine in which Ray keeps the logs and sockets of its session. Ray must have been started."""
    from ray._private import worker

    node = worker._global_node
    assert node is not None, "Ray has not been started"
    return Path(node.get_session_dir_path())


def end_autoscaler() -> None:
    """End the autoscaler of the Ray that this process has started.

    A Ray of one machine has nothing to scale, and its autoscaler takes a second to notice that it should end. No public
    option starts Ray without one.
    """
    from ray._private import worker

    node = worker._global_node
    assert node is not None, "Ray was not started by this process"
    node.kill_monitor(check_alive=False)


def let_actors_reuse_processes() -> None:
    """Have Tune start its actors without an environment of their own.

    Tune sets PL_DISABLE_FORK for them, which only Lightning needs. With any variable of its own an actor gets a new
    process, instead of one that Ray has started already and that has loaded torch (see `PRELOAD`).
    """
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()


def empty_trial(trial: Any) -> None:
    """Free what an ended Tune trial holds: Tune keeps each trial until the end, and a run has thousands."""
    # `__unresolved_config` is private to its class, hence the mangled name.
    for held in (trial.config, trial.evaluated_params, trial._Trial__unresolved_config):
        held.clear()
    trial.experiment_tag, trial._default_result_or_future = "", None
    known = trial.run_metadata
    # An empty last result would have Tune fetch a default one, which is larger.
    known.last_result, known.metric_analysis, known.metric_n_steps = {"done": True}, {}, {}
