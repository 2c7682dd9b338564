"""Training in phases, each from the weights of the one before (the EnhanceGAN re-implementation, its section 3).

Phase 1 trains the base network; phase 2, from `phases.curve_at` of the steps, also its CurveBlock; phase 3, from
`phases.adversarial_at`, also against the critic. Where two begin together, or one at 0, or one never (at 1), there are
fewer phases.
"""

from collections.abc import Mapping
from typing import Any

import torch

from enhance.config import Config
from enhance.data import PatchStore
from enhance.nets.curve import Curve
from enhance.rules.paired import Adversarial, Supervised
from enhance.rules.rule import StepStats
from enhance.training.seeds import Seeds


class Phased:
    """Turns the switches of a rule on pairs, and lets it train."""

    def __init__(self, config: Config, seeds: Seeds, data: PatchStore, device: torch.device) -> None:
        phases, steps = config.phases, config.train.steps
        self.config = config
        self.curve_from, self.critic_from = round(phases.curve_at * steps), round(phases.adversarial_at * steps)
        self.rule = (
            Adversarial(config, seeds, data, device, first_step=self.critic_from)
            if config.loss.adversarial and self.critic_from < steps
            else Supervised(config, seeds, data, device)
        )
        self.net, self.optimizer = self.rule.net, self.rule.optimizer
        self._content = float(config.loss.content)
        self._switch(0)

    def train_step(self, step: int) -> StepStats:
        """Train step number `step`; the first one of a phase starts the optimizer afresh."""
        self._switch(step)
        if step and step in (self.curve_from, self.critic_from):
            self.optimizer.restart(self.config.phases.lr_factor)
        return self.rule.train_step(step)

    def scores(self, source: torch.Tensor, output: torch.Tensor) -> dict[str, torch.Tensor]:
        """Metrics of its own: none."""
        return self.rule.scores(source, output)

    def state_dict(self) -> dict[str, Any]:
        """That of the rule inside: the switches are functions of the step."""
        return self.rule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.rule.load_state_dict(state)

    def _switch(self, step: int) -> None:
        if isinstance(self.net, Curve):
            self.net.enabled = step >= self.curve_from
        if "content" in self.rule.losses.weights:
            factor = self.config.phases.content_factor if step < self.critic_from else 1.0
            self.rule.losses.weights["content"].fill_(self._content * factor)
