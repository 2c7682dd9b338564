"""A whole training step: that of the rule, and the moving average of the network's weights after it."""

import json
import os
from collections.abc import Callable, Hashable, Mapping

import torch
from torch import Tensor

from enhance.config import Config, flatten
from enhance.data import PatchStore
from enhance.losses import RULE_TERMS, TERMS
from enhance.nets import Network
from enhance.rules.rule import Rule, StepStats
from enhance.training.optimizers import Average
from enhance.training.recording import GraphRecorder, Machines, RecordedSteps
from enhance.training.staging import prefixed, recordable, under


class TrainingStep:
    """A rule and, if there is one, the average of its network, in the halves `stage` and `compute`."""

    def __init__(self, rule: Rule, average: Average[Network] | None) -> None:
        self.rule, self.average = rule, average

    @property
    def topology(self) -> Hashable:
        """The rule's."""
        return self.rule.topology

    def stage(self, step: int) -> None:
        """Prepare step number `step`, counted from 0, on the host."""
        self.rule.stage(step)
        if self.average is not None:
            self.average.stage()
            self.average.net.set_switches(self.rule.net.switches())  # a color curve may have been switched on

    def compute(self) -> StepStats:
        """Take the step that was staged, on the device."""
        stats = self.rule.compute()
        if self.average is not None:
            self.average.update(self.rule.net)
        return stats

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All tensors that outlive a step, by name; those that only `like` has so far are made, as zeros."""
        averages = {} if self.average is None else self.average.tensors()
        return prefixed("rule", self.rule.tensors(under("rule", like))) | prefixed("average", averages)

    def generators(self) -> list[torch.Generator]:
        """The generators of the noise on the device, as far as they have been used."""
        return [layer.generator for layer in self.rule.dropouts() if layer.generator is not None]

    def use_generators(self, generators: list[torch.Generator]) -> None:
        """Draw the noise from these, seeded as each layer was last."""
        for layer, generator in zip(self.rule.dropouts(), generators, strict=True):
            layer.use(generator)


# --- recorded or not ---------------------------------------------------------------------------------------------

SWITCH = "TESTSTRIP_RECORD_STEPS"
"""The environment variable that turns recording on, with "1". Off by default: it has never been run on a GPU."""

MACHINES = Machines(most=4)
"""What this process has recorded: for trials that run one after the other."""

_FREE_PARTS = ("guard", "phases")
_FREE = (
    *(f"{part}.{leaf}" for part in ("optimizer", "critic_optimizer")
      for leaf in ("lr", "schedule", "warmup_share", "hold_share")),
    *("train.steps", "train.vary", "train.val_images", "adversarial.pretrain_steps"),
)  # fmt: skip
"""Leaves that decide nothing but what is staged. All others decide which operations a step runs, or their constants."""

_SWITCHES = ("train.ema", *(f"augment.{name}" for name in ("brightness", "contrast", "saturation")))
"""Leaves of which only counts whether they are 0: their values are staged."""


class Stepper:
    """Takes the steps that were staged: with `compute` itself, or from a recording where that is wanted and can be."""

    def __init__(self, step: TrainingStep, config: Config, data: PatchStore, device: torch.device) -> None:
        self._why_eager = why_eager(step, device)
        self._recorded: RecordedSteps | None = None
        if not self._why_eager:
            machine = MACHINES.get((kind_of(config), data.fingerprint, str(device)))
            self._recorded = RecordedSteps(step, machine, GraphRecorder)
        self.take: Callable[[], StepStats] = step.compute if self._recorded is None else self._recorded.take

    @property
    def captured(self) -> str:
        """For the ledger: "recorded" if the steps come from recordings, else "eager: " and the reason."""
        why = self._why_eager if self._recorded is None else self._recorded.why_eager
        return f"eager: {why}" if why else "recorded"


def why_eager(step: TrainingStep, device: torch.device) -> str:
    """Why the steps on this device are not to be recorded; "" if they are."""
    if not recordable(device):
        return "on a CPU"
    return step.rule.why_eager if os.environ.get(SWITCH) == "1" else f"{SWITCH} is not 1"


def kind_of(config: Config) -> str:
    """A text that two configurations share if the steps of one can replay what the other has recorded."""
    weights = {f"loss.{name}" for name in (*TERMS, *RULE_TERMS)}
    kind = {
        name: bool(value) if name in _SWITCHES or name in weights else value
        for name, value in flatten(config).items()
        if name not in _FREE and name.partition(".")[0] not in _FREE_PARTS
    }
    return json.dumps(kind, sort_keys=True)
