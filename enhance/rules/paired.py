"""Training on pairs, with or without a critic."""

import copy
from collections.abc import Hashable

import torch
from torch import Tensor

from enhance.closed_form.fitted import fitted
from enhance.config import Config
from enhance.config.fast_nets import PolynomialConfig
from enhance.data import PatchStore
from enhance.data.batches import Stream
from enhance.nets import Network
from enhance.rules.adversary import Adversary
from enhance.rules.rule import Stateful, StepStats, TrainedNetworks
from enhance.training.optimizers import Optimizer
from enhance.training.seeds import Seeds

GENERATOR = "generator"
"""The slot of the generator's batch; those of the critic are "critic 0", "critic 1" and so on."""


class Supervised(TrainedNetworks):
    """Compares the output with its target. A `polynomial` network starts from its fit to the training pairs."""

    def new_net(self, seed: int) -> Network:
        """A generator of the configured family on the device, in training mode."""
        net = super().new_net(seed)
        if isinstance(self.config.net, PolynomialConfig):
            return copy.deepcopy(fitted(self.feed.data, self.config.net)).to(self.device).train()
        return net

    def stage(self, step: int) -> None:
        """Prepare the generator's batch and learning rate."""
        self.begin(step)
        self.feed.stage_pairs(GENERATOR, step, Stream.GENERATOR)
        self.optimizer.stage()

    def compute(self) -> StepStats:
        """Take one step of the generator."""
        source, target = self.feed.pairs(GENERATOR)
        with self.autocast():
            output = self.net(source)
            terms = self.terms(source, output.float(), target)
        return self.descend(terms, self.net.signals())

    def terms(self, source: Tensor, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The unweighted loss terms of the generator."""
        return self.losses(output, target)


class Adversarial(Supervised):
    """Adds a critic of the output, which learns in turns with the generator.

    The order is that of DPED's code: one step of the generator, then the critic's steps on batches of their own. The
    critic joins at `first_step`.
    """

    def __init__(
        self, config: Config, seeds: Seeds, data: PatchStore, device: torch.device, first_step: int = 0
    ) -> None:
        super().__init__(config, seeds, data, device)
        self.first_step = first_step
        self.takes_part = first_step == 0
        self.adversary = Adversary(config, seeds, self.staged, config.train.steps - first_step)
        self._slots = [f"critic {turn}" for turn in range(config.adversarial.critic_steps)]

    @property
    def topology(self) -> Hashable:
        """Whether the critic takes part."""
        return self.takes_part

    def stage(self, step: int) -> None:
        """Prepare one step of the generator and the critic's steps; pretrain the critic when it joins."""
        self.takes_part = step >= self.first_step
        if step == self.first_step:
            self._pretrain(step)
        super().stage(step)
        for slot in self._slots if self.takes_part else ():
            self._stage_critic(slot)

    def compute(self) -> StepStats:
        """Take one step of the generator, then the critic's steps."""
        stats = super().compute()
        for slot in self._slots if self.takes_part else ():
            stats.signals.update(self._critic_step(slot))
        return stats

    def terms(self, source: Tensor, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The picture terms and, once the critic has joined, the adversarial term."""
        found = super().terms(source, output, target)
        return found | {"adversarial": self.adversary.loss(output, source)} if self.takes_part else found

    def parts(self) -> dict[str, Network | Stateful]:
        """Everything that has a state, by name."""
        return super().parts() | {"adversary": self.adversary}

    def optimizers(self) -> list[Optimizer]:
        """Those of the network and of the critic."""
        return [*super().optimizers(), self.adversary.optimizer]

    def _pretrain(self, step: int) -> None:
        """Steps of the critic alone, before the generator meets it. They happen once, so they are never recorded."""
        self.begin(step)
        for _ in range(self.config.adversarial.pretrain_steps):
            self._stage_critic(self._slots[0])
            self._critic_step(self._slots[0])

    def _stage_critic(self, slot: str) -> None:
        update = self.adversary.updates
        self.feed.stage_pairs(slot, update, Stream.CRITIC)  # counted in updates: no two of them share a batch
        if self.config.adversarial.shown == "coin":
            self.feed.stage_coins(slot, update)
        self.adversary.stage(slot)

    def _critic_step(self, slot: str) -> dict[str, Tensor]:
        source, target = self.feed.pairs(slot)
        with torch.no_grad(), self.autocast():
            enhanced = self.net(source).float()
        if self.config.adversarial.shown == "coin":
            return self.adversary.learn_mixed(slot, target, enhanced, source, self.feed.coins(slot), self.autocast)
        return self.adversary.learn(slot, target, enhanced, source, self.autocast)
