"""How throughput grows with nodes, and where the driver limits it: sleeping trials on a Ray cluster of logical nodes.

    python tests/bench/scaling.py [--nodes 2 4 8 16] [--trial-s 4] [--generations 8] [--limit-trials 400]

A cluster on this machine grows from size to size. Every node has one slot, the head has none, and a sweep joins by
address, as a user's sweep does. Its trials sleep (sleeping/sitecustomize.py); workers, reports at two rungs, search and
the synced ledger are the engine's own. A generation is as many endings as there are nodes, counted once every node has
ended one trial. "Linear" is the number of nodes / the seconds of a trial. Trials of 0 s show the driver's limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from analysis.ledger.load import load  # noqa: E402
from enhance.data import open_data  # noqa: E402
from tests.sweeps.engine.cluster.cluster_host import Cluster, running_nodes  # noqa: E402

SLEEPING = Path(__file__).parent / "sleeping"
WAYS = ("--steps", "90", "--stopping", "none", "--sampler", "random", "--confirm", "0", "--samples", "0")
LIMIT_GENERATION = 50
"""Trials of 0 s are counted in fifties, whatever the number of nodes."""


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A head without slots."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{SLEEPING}{os.pathsep}{ROOT}",
        "SLEEPING": str(folder / "said.json"),
    }
    with running_nodes(environment) as found:
        found.add(0)
        yield found


def endings_s(cluster: Cluster, folder: Path, nodes: int, trials: int, trial_s: float) -> tuple[np.ndarray, float]:
    """Run a sweep; return the ascending seconds at which trials ended, and when every node had ended its first."""
    for leftover in folder.glob("*.here"):
        leftover.unlink()
    (folder / "said.json").write_text(json.dumps({"trial_s": trial_s, "together": nodes}))
    out = folder / f"{nodes}-nodes-{trial_s:g}-s"
    command = [sys.executable, str(ROOT / "sweeps" / "loss_weights.py"), *WAYS, "--trials", str(trials)]
    command += ["--workers", str(nodes), "--address", cluster.address, "--out", str(out), "--timeout", "900"]
    done = subprocess.run(command, env=cluster.environment, cwd=ROOT, check=False, capture_output=True, text=True)
    frame = load(out).trials if done.returncode == 0 else pd.DataFrame()
    if len(frame) != trials or set(frame["ending"]) != {"completed"}:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    began = frame["time.started"].min()
    first = frame.nsmallest(nodes, "time.started")["time.ended"].max()
    ended = np.sort((frame["time.ended"] - began).dt.total_seconds().to_numpy())
    return ended, (first - began).total_seconds()


def rates(ended_s: np.ndarray, from_s: float, size: int) -> list[float]:
    """Trials per second in generations of `size` endings from `from_s` on, but not the last, in which slots idle."""
    marks = ended_s[ended_s >= from_s][::size]
    return [size / took for took in np.diff(marks)][:-1]


def line(name: str, found: list[float], linear: float | None = None) -> str:
    """A line of the table: median, lowest and highest rate of the generations, and the median's share of linear."""
    middle, low, high = statistics.median(found), min(found), max(found)
    share = "" if linear is None else f"{linear:>9.2f} {middle / linear:>8.3f}"
    return f"{name:<28} {middle:>9.2f} {low:>7.2f} {high:>8.2f} {len(found):>12} {share}"


def main() -> None:
    """Let the cluster grow, and print a line for each of its sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--trial-s", type=float, default=4.0)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--limit-trials", type=int, default=400, help="trials of 0 s at every size; 0: none")
    options = parser.parse_args()
    open_data("demo")  # packed before any clock runs
    print(f"one slot a node, trials of {options.trial_s:g} s with two reports; all on {os.cpu_count()} cores")
    heads = f"{'':<28} {'trials/s':>9} {'lowest':>7} {'highest':>8} {'generations':>12}"
    print(f"{heads} {'linear':>9} {'share':>8}", flush=True)
    with tempfile.TemporaryDirectory(prefix="teststrip-scaling-") as scratch, cluster(folder := Path(scratch)) as found:
        there = 0
        for nodes in sorted(options.nodes):
            for _ in range(nodes - there):
                found.add(1)
            there = nodes
            trials = nodes * (options.generations + 3)  # the first is for warmth, of the last two one may be cut off
            rate = rates(*endings_s(found, folder, nodes, trials, options.trial_s), nodes)
            print(line(f"{nodes} nodes", rate, nodes / options.trial_s), flush=True)
            if options.limit_trials:
                rate = rates(*endings_s(found, folder, nodes, options.limit_trials, 0.0), LIMIT_GENERATION)
                print(line(f"{nodes} nodes, trials of 0 s", rate), flush=True)


if __name__ == "__main__":
    main()
