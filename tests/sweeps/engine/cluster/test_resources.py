"""Which cluster is joined and where runs go: from the command line or the nodes, never inherited."""

import pytest

from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.options import parse
from sweeps.engine.cluster.resources import Capacity, cluster_address, runs_folder
from tests.sweeps.engine.pretended import small_sweep

INHERITED = {"RAY_ADDRESS": "10.0.0.9:6379"}
ON_A_NODE = {**INHERITED, "TESTSTRIP_ADDRESS": "10.0.0.1:6379"}


@pytest.mark.parametrize(
    ("asked", "workers", "environment", "joined"),
    [
        (None, None, INHERITED, None),
        ("10.0.0.2:6379", None, ON_A_NODE, "10.0.0.2:6379"),
        (None, None, ON_A_NODE, "10.0.0.1:6379"),
        ("local", None, ON_A_NODE, None),
        (None, 0, ON_A_NODE, None),  # this process, on whatever machine
        (None, 4, ON_A_NODE, "10.0.0.1:6379"),
        (None, None, {"TESTSTRIP_ADDRESS": ""}, None),
    ],
)
def test_what_is_asked_comes_first_then_the_node_and_never_what_is_inherited(
    asked: str | None, workers: int | None, environment: dict[str, str], joined: str | None
) -> None:
    assert cluster_address(asked, workers, environment) == joined


def test_runs_lie_where_the_node_says() -> None:
    assert runs_folder({}) == "runs"
    assert runs_folder({"TESTSTRIP_RUNS": "/nfs/runs"}) == "/nfs/runs"
    assert runs_folder({"TESTSTRIP_RUNS": "s3://bucket/runs"}) == "s3://bucket/runs"


def test_the_cluster_decides_about_workers_device_and_dtype() -> None:
    """What this machine has counts for nothing there, and a number of workers that was given stays."""
    cluster = Capacity(workers=12, device="cuda", bf16=False, cores=3)
    sweep, options = parse(small_sweep().with_budget(trials=40), ["--address", "auto"], "x", cluster)
    assert (options.workers, options.elastic, options.device, options.dtype) == (12, True, "cuda", "bf16")
    _, options = parse(small_sweep(), ["--address", "auto", "--workers", "2"], "x", cluster)
    assert (options.workers, options.elastic) == (2, False)
    slow = Capacity(workers=12, device="cpu", bf16=False, cores=3)
    sweep, options = parse(small_sweep(), ["--address", "auto"], "x", slow)
    assert (options.dtype, sweep.fixed["train.dtype"]) == ("fp32", "fp32")


@pytest.mark.parametrize("option", ["--insecure", "--unshared"])
def test_what_is_about_a_cluster_is_refused_without_one(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option}.*cluster.*--address"):
        parse(small_sweep(), [option], "x")


def test_the_plan_names_the_cluster_and_who_named_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTSTRIP_ADDRESS", "10.0.0.1:6379")
    assert parse(small_sweep(), [], "x")[1].told_by == "TESTSTRIP_ADDRESS"
    assert parse(small_sweep(), ["--address", "auto"], "x")[1].told_by == "--address"
