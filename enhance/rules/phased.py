"""Training in phases, each starting from the weights of the one before (EnhanceGAN re-implementation, section 3).

Phase 1 trains the base network. Phase 2, from the share `phases.curve_at` of the steps, also trains its CurveBlock.
Phase 3, from `phases.adversarial_at`, also trains against the critic. There are fewer phases if two start together, or
if one starts at 0 or never (at 1).
"""

from collections.abc import Hashable, Mapping
from typing import Any

import torch

from enhance.config import Config
from enhance.data import PatchStore
from enhance.nets.curve import Curve
from enhance.nets.network import Dropout
from enhance.rules.paired import Adversarial, Supervised
from enhance.rules.rule import StepStats
from enhance.training.seeds import Seeds


class Phased:
    """Runs a rule for pairs and switches its parts on as the phases begin."""

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

    @property
    def topology(self) -> Hashable:
        """Whether the curve is enabled, and what the inner rule does."""
        return isinstance(self.net, Curve) and self.net.enabled, self.rule.topology

    def stage(self, step: int) -> None:
        """Prepare step number `step`; the first step of a phase resets the optimizer."""
        self._switch(step)
        if step and step in (self.curve_from, self.critic_from):  # a phase that starts at 0 has nothing to reset
            self.optimizer.restart(self.config.phases.lr_factor)
        self.rule.stage(step)

    def compute(self) -> StepStats:
        """Take the inner rule's step."""
        return self.rule.compute()

    @property
    def why_eager(self) -> str:
        """What the inner rule says."""
        return self.rule.why_eager

    def tensors(self, like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The inner rule's tensors."""
        return self.rule.tensors(like)

    def dropouts(self) -> list[Dropout]:
        """The inner rule's layers that draw noise."""
        return self.rule.dropouts()

    def scores(self, source: torch.Tensor, output: torch.Tensor) -> dict[str, torch.Tensor]:
        """The inner rule's own metrics: none."""
        return self.rule.scores(source, output)

    def state_dict(self) -> dict[str, Any]:
        """The inner rule's state; the switches follow from the step."""
        return self.rule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.rule.load_state_dict(state)

    def _switch(self, step: int) -> None:
        if isinstance(self.net, Curve):
            self.net.enabled = step >= self.curve_from
        if "content" in self.rule.losses.weights:
            factor = self.config.phases.content_factor if step < self.critic_from else 1.0
            self.rule.losses.weights["content"].fill_(self._content * factor)  # in place: the losses hold this tensor
