"""Every question at its three distances: in this process, on this machine's Ray, and on a cluster that is joined.

Some minutes: `make endurance` runs it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from analysis.ledger.load import load
from analysis.ledger.schema import DATASETS
from sweeps.engine.sweep import Sweep
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.cluster.ray_cluster import running_cluster
from tests.sweeps.engine.whole_runs import plain
from tests.sweeps.test_questions import QUESTIONS, small

pytestmark = [pytest.mark.engine, pytest.mark.endurance, pytest.mark.timeout(900)]

MEASURED = ("latency", "peak_memory")
KEYS = {name: DATASETS[name].key for name in ("starts", "reports", "trials")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    environment = {**os.environ, "TESTSTRIP_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}
    with running_cluster(environment) as running:
        yield running


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_rows_are_the_same_at_every_distance(
    name: str, cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, environment = cluster
    sweep = QUESTIONS[name]
    for place, where in {
        "here": ["--workers", "0"],
        "ray": ["--workers", "2"],
        "cluster": ["--workers", "2", "--address", address],
    }.items():
        asked = [*script(name), "--smoke", *small(sweep), *same_search(sweep), *where, "--out", str(tmp_path / place)]
        done = subprocess.run(
            [sys.executable, *asked],
            env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
    here, *others = (load(tmp_path / place) for place in ("here", "ray", "cluster"))
    assert len(here.trials) >= sweep.smoke.trials * sweep.smoke.seeds
    for other in others:
        for dataset, keys in KEYS.items():
            one, two = (computed(plain(getattr(ledger, dataset), keys)) for ledger in (here, other))
            pd.testing.assert_frame_equal(one, two, check_exact=True)


def script(name: str) -> list[str]:
    """The file that holds a question, and the switch that chooses it where there are several."""
    stem, _, part = name.partition("-")
    switch = {"fast_arch": "--space", "tasks": "--task"}.get(stem)
    return [f"sweeps/{stem}.py", *([switch, part] if switch else [])]


def same_search(sweep: Sweep) -> list[str]:
    """What keeps a search from depending on the order in which trials end. A latency is never the same twice."""
    return ["--stopping", "none", "--confirm", "0"] if sweep.cost else ["--reproducible"]


def computed(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what is measured, and without orders: in which configurations were given out, and columns came up."""
    measured = [name for name in frame.columns if name.split(".", 1)[-1].startswith(MEASURED)]
    return frame.drop(columns=[*measured, *({"number"} & set(frame.columns))]).sort_index(axis="columns")
