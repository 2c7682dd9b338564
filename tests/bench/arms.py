"""The same 24 micro-runs under five orchestrations; each is a command of its own: `python -m tests.bench.arms NAME`.

Every arm trains the same network for the same steps on the same data, two trials at a time with one thread each. They
differ in what starts the trials and in what is left on disk: only `ours` writes a ledger.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

TRIALS = int(os.environ.get("BENCH_TRIALS", "24"))
STEPS = int(os.environ.get("BENCH_STEPS", "195"))
FIXED = {"loss.pixel": 1.0, "net.channels": 16, "net.blocks": 1, "train.dtype": "bf16", "train.val_images": 20}
LOW, HIGH = 1e-4, 1e-2  # learning rate, the one thing that varies


def train(lr: float) -> float:
    """One micro-run as a bare function, the work that all arms share; returns its PSNR in dB."""
    import torch

    from enhance.config import from_flat
    from enhance.data import open_data
    from enhance.microrun import MicroRun

    torch.set_num_threads(1)
    config = from_flat({**FIXED, "optimizer.lr": lr, "train.steps": STEPS})
    return MicroRun(config, 0, open_data("demo")).advance(STEPS).metrics["psnr_db"]


def floor() -> None:
    """No orchestration: two bare processes with half of the trials each."""
    here = [sys.executable, "-m", "tests.bench.arms"]
    halves = [subprocess.Popen([*here, "half"]) for _ in range(2)]
    sys.exit(max(half.wait() for half in halves))


def half() -> None:
    """One of the two processes of the floor."""
    for index in range(TRIALS // 2):
        train(LOW * (HIGH / LOW) ** (index / TRIALS))


def optuna_threads() -> None:
    """Optuna alone: `optimize(n_jobs=2)` in one process."""
    import optuna

    study = optuna.create_study(direction="maximize")
    study.optimize(lambda trial: train(trial.suggest_float("lr", LOW, HIGH, log=True)), n_trials=TRIALS, n_jobs=2)


def stock_tune() -> None:
    """Ray Tune as its tutorial has it: function API, default settings, OptunaSearch."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    ray.init(num_cpus=2)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            lambda config: tune.report({"psnr_db": train(config["lr"])}),
            param_space={"lr": tune.loguniform(LOW, HIGH)},
            tune_config=tune.TuneConfig(search_alg=OptunaSearch(), metric="psnr_db", mode="max", num_samples=TRIALS),
            run_config=tune.RunConfig(storage_path=folder),
        ).fit()


def tuned_tune() -> None:
    """Ray Tune as its experts set it: class API, reused actors, concurrency given, loggers off, OptunaSearch."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Trainable(tune.Trainable):
        """Trains a whole trial in one step."""

        def setup(self, config: dict[str, Any]) -> None:
            self.lr = config["lr"]

        def step(self) -> dict[str, Any]:
            return {"psnr_db": train(self.lr), "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.lr = new_config["lr"]
            return True

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            Trainable,
            param_space={"lr": tune.loguniform(LOW, HIGH)},
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(),
                metric="psnr_db",
                mode="max",
                num_samples=TRIALS,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                # A class Trainable is otherwise asked for a checkpoint at its end, and an actor that has none to give
                # is thrown away instead of reused: 3.7 times the floor instead of 1.3.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


def ours() -> None:
    """Teststrip: the same trials as a sweep, every row durable in the ledger before the next trial starts."""
    from sweeps.engine.command import run
    from sweeps.engine.space import Log
    from sweeps.engine.sweep import Budget, Sweep

    sweep = Sweep(
        name="overhead",
        question="What does the engine cost?",
        found="see tests/bench/overhead.py",
        space={"optimizer.lr": Log(LOW, HIGH)},
        fixed=FIXED,
        objectives=("psnr_db",),
        budget=Budget(trials=TRIALS, steps=STEPS, rungs=1),
        smoke=Budget(trials=2, steps=1, rungs=1),
        full=Budget(trials=2, steps=1, rungs=1),
    )
    with tempfile.TemporaryDirectory() as folder:
        status = run(sweep, ["--workers", "2", "--out", folder])
        ended = len(list((Path(folder) / "trials").glob("part-*.parquet")))
    sys.exit(status or ended != TRIALS)


ARMS: dict[str, Callable[[], None]] = {
    "floor": floor,
    "ours": ours,
    "optuna": optuna_threads,
    "tuned tune": tuned_tune,
    "stock tune": stock_tune,
}

if __name__ == "__main__":
    {**ARMS, "half": half}[sys.argv[1]]()
