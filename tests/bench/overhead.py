"""What orchestration costs: the wall time of the same trials under five orchestrations, as ratios to bare processes.

    python tests/bench/overhead.py [--rounds 3] [--arms floor ours ...]

Each round runs every arm once, so that a noisy machine disturbs all of them alike; ratios are taken within a round. The
time is that of the whole command, including Python's start, imports, and Ray's start and shutdown.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from enhance.data import open_data  # noqa: E402
from tests.bench.arms import ARMS, STEPS, TRIALS  # noqa: E402


def seconds(arm: str) -> float:
    """Wall time of the arm's whole command, whose output goes to a log that is named if it fails."""
    log = ROOT / "build" / f"overhead-{arm.replace(' ', '-')}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.arms", arm], cwd=ROOT, stdout=file, stderr=file, check=False
        )
        took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{arm} ended with status {done.returncode}; see {log}")
    return took


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    options = parser.parse_args()
    arms = list(dict.fromkeys(["floor", *options.arms]))
    open_data("demo")  # packed before any clock runs
    print(f"{TRIALS} trials of {STEPS} steps, two at a time; {os.cpu_count()} cores, {platform.machine()}", flush=True)
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for round_number in range(1, options.rounds + 1):
        for arm in arms:
            times[arm].append(seconds(arm))
        print(
            f"round {round_number}: " + ", ".join(f"{arm} {took[-1]:.1f} s" for arm, took in times.items()), flush=True
        )
    print(f"\n{'arm':<12} {'median s':>9} {'ratio to floor: median':>23} {'min':>6} {'max':>6}")
    for arm in arms:
        ratios = [took / bare for took, bare in zip(times[arm], times["floor"], strict=True)]
        median = f"{statistics.median(times[arm]):>9.1f} {statistics.median(ratios):>23.3f}"
        print(f"{arm:<12} {median} {min(ratios):>6.3f} {max(ratios):>6.3f}")


if __name__ == "__main__":
    main()
