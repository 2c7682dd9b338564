"""A cluster of hosts that `ray up` has started: cables that are pulled, and hosts, even the head, without power."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.outcome import Fault, Outcome
from tests.chaos.rows import acknowledged, compare
from tests.cluster.hosts import lacking
from tests.cluster.launched import MIDDLE, Cluster, Submitted, launched, run_alone, submit_and_wait_for
from tests.patience import wait_until

WORKERS = ("one", "two")
LONGEST_CUT_S = 90.0
"""Ray gives a node up that has not answered for about half a minute."""


@contextlib.contextmanager
def submitted(folder: Path, reports: int) -> Iterator[tuple[Cluster, Path, Submitted]]:
    """A cluster, the ledger of a sweep that runs on it and has so many reports, and the sweep."""
    lab = folder / "lab"
    lab.mkdir()
    with launched(lab) as cluster:
        run_alone(cluster.shared / "alone")
        out = cluster.shared / "run"
        running = submit_and_wait_for(cluster, out, reports)
        try:
            yield cluster, out, running
        finally:
            running.process.kill()
            running.process.wait()


def _reports(out: Path) -> int:
    return len(list((out / "reports").glob("part-*")))


def _time_to_go_on(running: Submitted, out: Path, since: float, reports: int) -> float | None:
    """Seconds until there is another report; None if the sweep ends without."""
    wait_until(
        lambda: running.process.poll() is not None or _reports(out) > reports, lambda: running.shown.read_text()[-3000:]
    )
    return time.monotonic() - since if _reports(out) > reports else None


def cable_out(seed: int, folder: Path) -> Outcome:
    """A worker's host is cut off for up to LONGEST_CUT_S."""

    def cut(cluster: Cluster, name: str, rng: random.Random) -> None:
        cluster.hosts.cut(name)
        time.sleep(rng.uniform(5.0, LONGEST_CUT_S))
        cluster.hosts.mend(name)

    return _without_one(seed, folder, cut)


def host_lost(seed: int, folder: Path) -> Outcome:
    """A worker's host loses power, and stays off."""
    return _without_one(seed, folder, lambda cluster, name, rng: cluster.hosts[name].fail())


def _without_one(seed: int, folder: Path, strike: Callable[[Cluster, str, random.Random], None]) -> Outcome:
    """A worker's host is struck in the middle of a submitted sweep."""
    rng = random.Random(seed)
    with submitted(folder, rng.randint(2, MIDDLE)) as (cluster, out, running):
        name = rng.choice(WORKERS)
        before, reports, since = acknowledged(out), _reports(out), time.monotonic()
        strike(cluster, name, rng)
        took = _time_to_go_on(running, out, since, reports)
        running.finish()
        return compare(cluster.shared / "alone", out, before, Outcome(recovery_s=took))


def head_lost(seed: int, folder: Path) -> Outcome:
    """The head, and with it the driver, loses power; it is switched on again, then `ray up` and the same command."""
    rng = random.Random(seed)
    with submitted(folder, rng.randint(2, MIDDLE)) as (cluster, out, running):
        cluster.hosts["head"].fail()
        since = time.monotonic()
        running.process.kill()
        before, reports = acknowledged(out), _reports(out)
        cluster.hosts.restart("head")
        cluster.type("ray up -y cluster.yaml")
        again = submit_and_wait_for(cluster, out, reports)
        took = _time_to_go_on(again, out, since, reports)
        again.finish()
        return compare(cluster.shared / "alone", out, before, Outcome(recovery_s=took))


FAULTS = [
    Fault(
        "cable out",
        f"a worker's host is cut off the network for 5 to {LONGEST_CUT_S:g} s, in the middle of a submitted sweep",
        "the sweep comes to its end, with the rows of one process alone",
        cable_out,
        wanted=10,
        lacking=lacking,
    ),
    Fault(
        "host lost",
        "a worker's host loses power in the middle of a submitted sweep, and stays off",
        "the sweep comes to its end, with the rows of one process alone",
        host_lost,
        wanted=10,
        lacking=lacking,
    ),
    Fault(
        "head lost",
        "the head loses power in the middle of a submitted sweep, with the driver, and is switched on again; then "
        "`ray up` and the same command",
        "the rows of one process alone",
        head_lost,
        wanted=10,
        lacking=lacking,
    ),
]
