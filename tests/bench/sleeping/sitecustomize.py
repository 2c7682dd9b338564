"""Micro-runs that sleep: with this folder on PYTHONPATH workers train nothing, and all else is the engine as it is.

What they do stands in the JSON file that SLEEPING names, read anew for each trial: {"trial_s": 4.0, "together": 16}. A
trial takes `trial_s`; the first one of each process begins when so many processes have one, so that what is measured
begins when all are there.
"""

import importlib.abc
import json
import os
import sys
import time
from pathlib import Path


class Sleeping(importlib.abc.MetaPathFinder):
    """Before the worker is loaded, what it trains is replaced."""

    def find_spec(self, name, path, target=None):
        if name == "sweeps.engine.workers.worker":
            sys.meta_path.remove(self)
            import enhance.microrun

            enhance.microrun.MicroRun = Sleeper


class Sleeper:
    """What a worker knows of a micro-run."""

    step, beats, parameters = 0, 0, 1
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
