"""Runs on Ray: workers, nodes and drivers that are lost, and nodes that should not take part."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from tests.chaos.drivers import Driver, started, wait_for, written
from tests.chaos.faults.killed import Recovery, interrupted
from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import compare, undisturbed
from tests.patience import PATIENCE_S
from tests.places import ROOT
from tests.sweeps.engine.cluster.cluster_host import Cluster, running_nodes
from tests.sweeps.engine.cluster.spot_service import announce_and_take_away
from tests.sweeps.engine.cluster.strange_nodes import cannot_hide, hiding, other_code

LONGER = ("--steps", "900")
"""Trials of a second or two, so that a worker is likely to be at one when it is lost."""

GOOD = "it is good"

KILLS = 3
"""As often as a trial may lose its worker before it is given up."""


@contextlib.contextmanager
def nodes() -> Iterator[Cluster]:
    """A cluster whose head has no slots."""
    with running_nodes({**os.environ, "PYTHONPATH": str(ROOT)}) as cluster:
        cluster.add(0)
        yield cluster


def joined(cluster: Cluster, out: Path) -> "contextlib.AbstractContextManager[Driver]":
    """A driver that joins the cluster."""
    options = (*LONGER, "--workers", "2", "--address", cluster.address)
    return started(out, *options, environment=cluster.environment)


def _finished(driver: Driver, clock: Recovery, out: Path, struck: int) -> Outcome:
    """The driver comes to its end, and the rows are those of an undisturbed run."""
    clock.watch(driver, PATIENCE_S)
    wrong = "" if driver.wait() == 0 else f"status {driver.status}: {driver.text()[-500:]}"
    return compare(undisturbed(*LONGER), out, {}, Outcome(struck, recovery_s=clock.longest_s, wrong=wrong))


def worker_killed(seed: int, folder: Path) -> Outcome:
    """Processes of trials are killed one after the other, in a run with two of them."""
    rng, out, struck = random.Random(seed), folder / "run", 0
    clock = Recovery(out)
    with started(out, *LONGER, "--workers", "2") as driver:
        for _ in range(KILLS):
            wait_for(driver, out, written(out) + rng.randint(1, 5))
            clock.watch(driver, rng.uniform(0.0, 1.0))
            if victims := _workers(driver):
                rng.choice(victims).kill()
                clock.stopped()
                struck += 1
        return _finished(driver, clock, out, struck)


def _workers(driver: Driver) -> list[psutil.Process]:
    """The processes in which trials are trained."""
    return [process for process in _descendants(driver) if "WarmWorker" in process.name()]


def _descendants(driver: Driver) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(driver.pid).children(recursive=True)
    return []


def driver_killed(seed: int, folder: Path) -> Outcome:
    """A driver with two workers on Ray is killed; nothing of it goes on computing."""
    out, left = folder / "run", []

    def kill(driver: Driver) -> bool:
        left.extend(_descendants(driver))
        return driver.kill()

    start = lambda: started(out, *LONGER, "--workers", "2")  # noqa: E731
    outcome = interrupted(seed, out, start, longest_s=30.0, kills=1, stop=kill, options=LONGER)
    _, alive = psutil.wait_procs(left, timeout=PATIENCE_S)
    assert alive == [], f"{alive} were left by a driver that was killed"
    return outcome


def node_lost(seed: int, folder: Path) -> Outcome:
    """The processes of one of two nodes are killed, raylet and workers, and the node is not replaced."""
    return _without_one(seed, folder, 20, lambda cluster, name: cluster.kill(name))


def node_drained(seed: int, folder: Path) -> Outcome:
    """One of two nodes hears that it will be taken away, and is."""
    return _without_one(seed, folder, 6, announce_and_take_away)


def _without_one(seed: int, folder: Path, latest: int, strike: Callable[[Cluster, str], object]) -> Outcome:
    """One of two nodes is struck when there are 1 to `latest` files of starts and reports."""
    rng, out = random.Random(seed), folder / "run"
    with nodes() as cluster:
        names = [cluster.add(1), cluster.add(1)]
        clock = Recovery(out)
        with joined(cluster, out) as driver:
            wait_for(driver, out, rng.randint(1, latest), "starts", "reports")
            strike(cluster, rng.choice(names))
            clock.stopped()
            return _finished(driver, clock, out, 1)


def unfit(seed: int, folder: Path) -> Outcome:
    """A good node, one that has an empty disk where the ledger is to be, and one that runs other code, in any order."""
    out = folder / "runs" / "run"
    out.parent.mkdir()
    wrong = []
    with nodes() as cluster:
        kinds: dict[str, Mapping[str, str]] = {
            GOOD: {},
            "is not the same folder there": hiding(folder / "storage", out.parent),
            "it runs other code": other_code(folder / "code"),
        }
        order = random.Random(seed).sample(list(kinds), len(kinds))
        names = {kind: cluster.add(1, **kinds[kind]) for kind in order}
        with joined(cluster, out) as driver:
            if driver.wait() != 2:
                wrong.append(f"status {driver.status}")
            said = driver.text().splitlines()
    for kind, node in names.items():
        found = [own for own in kinds if any(node[:8] in line and own in line for line in said)]
        if found != [kind] * (kind != GOOD):
            wrong.append(f"of the node of which {kind!r} is true it is said: {found}")
    if list(out.parent.glob("run/*/part-*")):
        wrong.append("something was computed")
    return Outcome(2, wrong="; ".join(wrong))


FAULTS = [
    Fault(
        "worker killed",
        f"in a run with two workers on Ray, a worker is killed {KILLS} times, at random moments",
        "the run comes to its end, with the same rows as without the kills",
        worker_killed,
    ),
    Fault(
        "driver on Ray killed",
        "SIGKILL to a driver with two workers on Ray, at a random moment; then the same command",
        "the same rows as without the kill, and no process of the first is left",
        driver_killed,
    ),
    Fault(
        "node lost",
        "the raylet and the workers of one of two nodes are killed, and the node is not replaced",
        "the run comes to its end, with the same rows as without",
        node_lost,
        wanted=20,
    ),
    Fault(
        "node drained",
        "one of two nodes is announced to be taken away, as on a spot market, drained, and taken away",
        "the run comes to its end, with the same rows as without",
        node_drained,
        wanted=10,
    ),
    Fault(
        "unfit nodes",
        "of three nodes one has another disk where the ledger is to be, and one runs other code",
        "the run is refused before anything is computed, with a sentence for each of the two",
        unfit,
        wanted=10,
        lacking=cannot_hide,
    ),
]
