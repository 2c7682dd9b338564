"""The parts of Ray beyond its public API still exist. A failure names the missing part."""

import re
from pathlib import Path

import pytest
import ray
from ray._private import node, services, worker
from ray._private.runtime_env import constants
from ray._raylet import GcsClient, InnerGcsClient
from ray.core.generated import gcs_pb2
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from sweeps.engine.cluster import ray_internals

ROOT = Path(ray_internals.__file__).parents[3]


@pytest.mark.parametrize(
    ("owner", "part"),
    [
        (services, "canonicalize_bootstrap_address_or_die"),
        (GcsClient, "__getattr__"),  # hands its methods on to the inner one
        (InnerGcsClient, "get_all_node_info"),
        (worker, "_global_node"),
        (node.Node, "kill_monitor"),
        (node.Node, "get_session_dir_path"),
        (class_cache, "DEFAULT_ENV_VARS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_part_is_there(owner: object, part: str) -> None:
    assert hasattr(owner, part), f"Ray {ray.__version__} has no {part}: see {ray_internals.__file__}"


def test_the_constants_are_ray_s() -> None:
    assert constants.RAY_JOB_CONFIG_JSON_ENV_VAR == ray_internals.JOB_CONFIG
    assert gcs_pb2.GcsNodeInfo.GcsNodeState.ALIVE == ray_internals.NODE_ALIVE
    setting = ray_internals.PRELOAD.removeprefix("RAY_")
    raylet = Path(ray.__file__).parent / "core" / "src" / "ray" / "raylet" / "raylet"
    assert setting.encode() in raylet.read_bytes(), f"Ray {ray.__version__} has no setting {setting}"


def test_a_trial_that_has_ended_is_emptied(tmp_path: Path) -> None:
    trial = Trial("test", config={"a": 1}, evaluated_params={"b": 2}, stub=True)
    trial.run_metadata.last_result = {"loss": 1.0}
    ray_internals.empty_trial(trial)
    assert (trial.config, trial.evaluated_params, trial._Trial__unresolved_config) == ({}, {}, {})
    assert trial.run_metadata.last_result == {"done": True}


def test_actors_have_no_environment_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_cache, "DEFAULT_ENV_VARS", {"PL_DISABLE_FORK": "1"})
    ray_internals.let_actors_reuse_processes()
    assert class_cache.DEFAULT_ENV_VARS == {}


def test_ray_is_capped_below_the_version_after_the_one_that_was_read() -> None:
    major, minor = map(int, ray_internals.VERSION.split("."))
    assert ray.__version__.startswith(f"{ray_internals.VERSION}.")
    caps = re.findall(r'"ray\[[a-z,]+\]([^"]*)"', (ROOT / "pyproject.toml").read_text())
    assert caps
    assert set(caps) == {f">={major}.{minor},<{major}.{minor + 1}"}


def test_nothing_else_leans_on_private_parts_of_ray() -> None:
    private = re.compile(r"ray\._|ray\.tune\.execution|ray\.core|_Trial__")
    files = [path for package in ("sweeps", "analysis", "enhance") for path in (ROOT / package).rglob("*.py")]
    leaning = {path.name for path in files if private.search(path.read_text())}
    assert leaning == {"ray_internals.py"}
