"""The arms of the benchmark, each a command of its own: `python -m tests.bench.gpu.arms ARM JOB TOGETHER`.

All train the same job. They differ in what starts the trials, in how the steps are launched, and in what is on disk
afterwards: only the engine writes a ledger.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.gpu.workloads import HIGH, LOW, Job

FRACTIONS = (1, 2, 4, 8)
"""How many trials share the GPU in the runs from which tuned Tune's best is taken."""


def psnr_at_rungs(job: Job, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    """Train one trial as a bare loop; gives the step and PSNR in dB of each rung."""
    import torch

    from enhance.data import open_data
    from enhance.microrun import MicroRun

    torch.set_num_threads(1)
    run = MicroRun(job.sweep().config(values), 0, open_data("demo"), job.device)
    for step in job.budget().rung_steps():
        yield step, run.advance(step - run.step).metrics["psnr_db"]


def stock_tune(job: Job, _together: int) -> None:
    """Ray Tune as its tutorial has it: function API, a process and a GPU per trial, default settings."""
    import ray
    from ray import tune

    def trial(values: dict[str, Any]) -> None:
        for step, score in psnr_at_rungs(job, values):
            tune.report({"psnr_db": score, "step": step})

    ray.init(include_dashboard=False)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(trial, _resources(job, 1)),
            param_space=_space(job),
            tune_config=_tune_config(job),
            run_config=tune.RunConfig(storage_path=folder),
        ).fit()


def tuned_tune(job: Job, together: int) -> None:
    """Ray Tune as its experts set it: class API, reused actors, a fraction of the GPU, loggers and snapshots off."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import ray
    from ray import tune

    class Trial(tune.Trainable):
        """Trains from rung to rung."""

        def setup(self, config: dict[str, Any]) -> None:
            self.rungs = psnr_at_rungs(job, config)

        def step(self) -> dict[str, Any]:
            step, score = next(self.rungs)
            return {"psnr_db": score, "step": step, "done": step == job.steps}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.rungs = psnr_at_rungs(job, new_config)
            return True

    ray.init(include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(Trial, _resources(job, together)),
            param_space=_space(job),
            tune_config=_tune_config(job, max_concurrent_trials=together, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                # Else an actor that has no checkpoint to give is thrown away instead of reused.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


def eager(job: Job, _together: int) -> None:
    """This engine, one trial at a time, its steps launched one by one."""
    _engine(job, record=False, together="1")


def captured(job: Job, _together: int) -> None:
    """This engine, one trial at a time, its steps recorded."""
    _engine(job, record=True, together="1")


def shared(job: Job, _together: int) -> None:
    """This engine with recorded steps, and as many trials on the GPU as measure best."""
    _engine(job, record=True, together="auto")


ARMS: dict[str, Callable[[Job, int], None]] = {
    "stock Tune": stock_tune,
    "tuned Tune": tuned_tune,
    "eager": eager,
    "captured": captured,
    "captured, shared": shared,
}
"""The arms (a) to (e), in the order of the table."""


def _engine(job: Job, *, record: bool, together: str) -> None:
    # Before torch and Ray, whose processes inherit it.
    os.environ["TESTSTRIP_RECORD_STEPS"] = "1" if record else "0"
    from sweeps.engine.command import run

    workers = ["--workers", "1"] if together == "1" else []
    words = ["--device", job.device, "--per-device", together, *workers, "--samples", "0"]
    with tempfile.TemporaryDirectory() as folder:
        status = run(job.sweep(), [*words, "--dtype", "auto", "--out", folder])
        ended = len(list((Path(folder) / "trials").glob("part-*.parquet")))
    sys.exit(status or ended != job.trials)


def _resources(job: Job, together: int) -> dict[str, float]:
    return {"cpu": 1, "gpu": 1 / together} if job.device == "cuda" else {"cpu": 1}


def _space(job: Job) -> dict[str, Any]:
    from ray import tune

    mixed = {
        name: tune.choice(list(entry.values))  # type: ignore[union-attr]
        for name, entry in job.sweep().space.items()
        if name != "optimizer.lr"
    }
    return {"optimizer.lr": tune.loguniform(LOW, HIGH), **mixed}


def _tune_config(job: Job, **more: Any) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    if job.halving:
        first = job.budget().rung_steps()[0]
        more["scheduler"] = ASHAScheduler(time_attr="step", max_t=job.steps, grace_period=first, reduction_factor=3)
    return tune.TuneConfig(metric="psnr_db", mode="max", num_samples=job.trials, **more)


def command(arm: str, job: Job, together: int) -> list[str]:
    """The command line of an arm."""
    return [sys.executable, "-m", "tests.bench.gpu.arms", arm, json.dumps(asdict(job)), str(together)]


if __name__ == "__main__":
    ARMS[sys.argv[1]](Job(**json.loads(sys.argv[2])), int(sys.argv[3]))
