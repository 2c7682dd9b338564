"""Training on pairs, with or without a critic."""

import torch
from torch import Tensor

from enhance.config import Config
from enhance.data import PatchStore
from enhance.data.batches import Stream
from enhance.rules.adversary import Adversary
from enhance.rules.rule import Stateful, StepStats, TrainedNetworks
from enhance.training.seeds import Seeds


class Supervised(TrainedNetworks):
    """Compares the output with its target."""

    def train_step(self, step: int) -> StepStats:
        """Take one step of the generator."""
        self.begin(step)
        source, target = self.feed.pairs(step, Stream.GENERATOR)
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
        self.adversary = Adversary(config, seeds, device, config.train.steps - first_step)

    def train_step(self, step: int) -> StepStats:
        """Take one step of the generator, then the critic's steps."""
        self.takes_part = step >= self.first_step
        if step == self.first_step:
            self.begin(step)  # an evaluation may have left the networks in evaluation mode
            for _ in range(self.config.adversarial.pretrain_steps):
                self._critic_step()
        stats = super().train_step(step)
        if self.takes_part:
            for _ in range(self.config.adversarial.critic_steps):
                stats.signals.update(self._critic_step())
        return stats

    def terms(self, source: Tensor, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The picture terms and, once the critic has joined, the adversarial term."""
        found = super().terms(source, output, target)
        return found | {"adversarial": self.adversary.loss(output, source)} if self.takes_part else found

    def parts(self) -> dict[str, Stateful]:
        """Everything that has a state, by name."""
        return super().parts() | {"adversary": self.adversary}

    def _critic_step(self) -> dict[str, Tensor]:
        update = self.adversary.updates
        source, target = self.feed.pairs(update, Stream.CRITIC)  # counted in updates: no two of them share a batch
        with torch.no_grad(), self.autocast():
            enhanced = self.net(source).float()
        if self.config.adversarial.shown == "coin":
            return self.adversary.learn_mixed(target, enhanced, source, self.feed.coins(update), self.autocast)
        return self.adversary.learn(target, enhanced, source, self.autocast)
