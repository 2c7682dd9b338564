"""Micro-runs that sleep: with this folder on PYTHONPATH workers train nothing, and the rest of the engine is unchanged.

The JSON file that SLEEPING names, read again for each trial, says how: {"trial_s": 4.0, "together": 16}. A trial takes
`trial_s` seconds. The first trial of each process waits until `together` processes have one, so that all of them start
at the same time.
"""

import importlib.abc
import json
import os
import sys
import time
from pathlib import Path


class Sleeping(importlib.abc.MetaPathFinder):
    """Replaces MicroRun just before the worker's module, which imports it, is loaded."""

    def find_spec(self, name, path, target=None):
        if name == "sweeps.engine.workers.worker":
            sys.meta_path.remove(self)
            import enhance.microrun

            enhance.microrun.MicroRun = Sleeper


class Sleeper:
    """The part of MicroRun that a worker uses; `advance` sleeps and returns made-up scores."""

    step, beats, parameters, captured = 0, 0, 1, "eager: asleep"
    first = True

    def __init__(self, config, *arguments):
        self.config = config
        settings = Path(os.environ["SLEEPING"])
        said = json.loads(settings.read_text())
        self.trial_s = said["trial_s"]
        if Sleeper.first:
            Sleeper.first = False
            (settings.parent / f"{os.getpid()}.here").touch()
            while len(list(settings.parent.glob("*.here"))) < said["together"]:
                time.sleep(0.05)

    def advance(self, steps):
        from enhance.report import Report

        time.sleep(self.trial_s * steps / self.config.train.steps)
        self.step += steps
        value = self.config.loss.color + self.step
        scores = {"psnr_db": value, "ms_ssim": -value, "parameters": 1.0}
        return Report(
            step=self.step,
            metrics=scores,
            spread=dict.fromkeys(scores, 0.0),
            untouched={},
            images=1,
            losses={"color": 1.0},
            signals={},
            loss_total=1.0,
            grad_norm=1.0,
            learning_rate=1.0,
            train_s=self.trial_s,
            eval_s=0.0,
        )


if "SLEEPING" in os.environ:
    sys.meta_path.insert(0, Sleeping())
