"""What an answer from a large ledger costs: wall time and peak memory of whole processes.

    python tests/bench/analysis_scale.py [--trials 1000000] [--rounds 3] [--within 60] [--keep DIR]

The ledger has 20 seeds of each configuration and 10 reports of each trial, in 40 files per table. For comparison, the
front alone is also computed by plain pandas, on the whole table of trials, and by Optuna's study.best_trials, on the
means of 250 configurations, then 500 and so on, until one size takes longer than `--within` seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from analysis.commands import COMMANDS  # noqa: E402
from tests.bench.big_ledger import SEEDS, write  # noqa: E402

ASKED = ("frontier", "stability")
OPTUNA_FIRST = 250


def plain_pandas(run: str) -> None:
    """The front of the means over seeds, as one would compute it in a notebook."""
    import pandas as pd

    trials = pd.read_parquet(f"{run}/trials")
    objectives = ["metric.psnr_db", "metric.latency_ratio"]
    means = trials[trials["ending"] == "completed"].groupby("configuration")[objectives].mean()
    ordered = means.sort_values(objectives, ascending=[False, True])
    best = ordered["metric.latency_ratio"].cummin()
    front = ordered[ordered["metric.latency_ratio"] <= best]
    print(len(front))


def optuna_front(run: str, most: str) -> None:
    """The front of the first `most` configurations only, from an Optuna study that is filled with their means."""
    import optuna
    import pandas as pd

    trials = pd.read_parquet(f"{run}/trials", columns=["configuration", "metric.psnr_db", "metric.latency_ratio"])
    means = trials.groupby("configuration").mean().head(int(most))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.trial.create_trial(values=list(values)) for values in means.itertuples(index=False)])
    print(len({tuple(trial.values) for trial in study.best_trials}))


def measured(command: list[str], within_s: float | None = None) -> tuple[float, float] | None:
    """Seconds and peak GiB of one process; None if it takes longer than `within_s`, in which case it is killed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, env=environment, cwd=ROOT)
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        took = time.perf_counter() - started
        if ended:
            break
        if within_s is not None and took > within_s:
            process.kill()
            process.wait()
            return None
        time.sleep(0.02)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return took, usage.ru_maxrss / 2**20


def main() -> None:
    """Write the ledger, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--within", type=float, default=60, metavar="S")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the ledger is, or is made and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="teststrip-scale-") as scratch:
        run = options.keep or Path(scratch) / "run"
        if not run.exists():
            write(run, options.trials)
        arms = {name: ["-m", "analysis", name, str(run)] for name in ASKED if name in COMMANDS}
        arms["plain pandas: the front alone"] = [str(Path(__file__)), "plain_pandas", str(run)]
        print(f"{'process':<40} {'median s':>9} {'lowest':>7} {'highest':>8} {'peak GiB':>9}", flush=True)
        rounds = [{name: measured(command) for name, command in arms.items()} for _ in range(options.rounds)]
        for name in arms:
            seconds, gib = zip(*(one[name] for one in rounds), strict=True)  # type: ignore[misc]
            low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
            print(f"{name:<40} {middle:>9.1f} {low:>7.1f} {high:>8.1f} {max(gib):>9.2f}")
        for size in doubled(OPTUNA_FIRST, options.trials // SEEDS):
            found = measured([str(Path(__file__)), "optuna_front", str(run), str(size)], options.within)
            if found is None:
                print(f"Optuna: {size:,} means take longer than {options.within:g} s")
                break
            print(
                f"{f'Optuna: the front of {size:,} means':<40} {found[0]:>9.1f} {'':>16} {found[1]:>9.2f}", flush=True
            )


def doubled(first: int, last: int) -> Iterator[int]:
    """`first`, its doubles below `last`, and `last`."""
    while first < last:
        yield first
        first *= 2
    yield last


if __name__ == "__main__":
    if sys.argv[1:2] in (["plain_pandas"], ["optuna_front"]):
        globals()[sys.argv[1]](*sys.argv[2:])
    else:
        main()
