"""A critic with its objective and optimizer: the opponent in an adversarial rule."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from enhance.config import Config
from enhance.critics import build_critic
from enhance.critics.objectives import build_objective
from enhance.data.batches import Stream
from enhance.training.feed import torch_generator
from enhance.training.optimizers import Optimizer
from enhance.training.seeds import Seeds


class Adversary:
    """Scores pictures for the generator, and learns to tell them from photographs.

    `generator_steps` is the number of generator steps it takes part in. Its learning-rate schedule spans its own
    updates: `critic_steps` for each generator step, and `pretrain_steps` before the first.
    """

    def __init__(self, config: Config, seeds: Seeds, device: torch.device, generator_steps: int) -> None:
        self.config, self.seeds, self.device = config, seeds, device
        self.objective = build_objective(config.adversarial)
        critic = build_critic(config.critic, config.train.crop_px, seeds.initialisation)
        self.critic = critic.to(device).to(memory_format=torch.channels_last)
        game = config.adversarial
        updates = generator_steps * game.critic_steps + game.pretrain_steps
        self.optimizer = Optimizer([self.critic], config.critic_optimizer, updates)
        self.updates = 0

    def loss(self, enhanced: Tensor, inputs: Tensor) -> Tensor:
        """The generator's adversarial term, shape (). Its gradients pass through the critic, not into its weights."""
        self.critic.requires_grad_(False)
        return self.objective.generator_loss(self._scores(enhanced, inputs))

    def learn(self, real: Tensor, enhanced: Tensor, inputs: Tensor, autocast: Callable[[], Any]) -> dict[str, Tensor]:
        """Update the critic once, on both real and enhanced pictures. Returns detached stats of shape ()."""
        enhanced = enhanced.detach()
        self.critic.requires_grad_(True)
        with autocast():  # in two passes: in one, batch norm would normalize real and enhanced pictures together
            good, made = self._scores(real, inputs).float(), self._scores(enhanced, inputs).float()
        scores = torch.cat((good, made))
        is_real = torch.arange(len(scores), device=self.device) < len(real)
        loss = self.objective.critic_loss(good, made)
        noise = torch_generator(self.seeds.data, self.updates, Stream.PENALTY, self.device)
        penalty = self.objective.penalty(self.critic, real, enhanced, self._critic_inputs(inputs), noise)
        return self._update(loss, penalty, scores, is_real)

    def learn_mixed(
        self, real: Tensor, enhanced: Tensor, inputs: Tensor, coins: Tensor, autocast: Callable[[], Any]
    ) -> dict[str, Tensor]:
        """Update the critic once, on the real or the enhanced picture of each sample, as its coin (B,) bool decides."""
        self.critic.requires_grad_(True)
        shown = torch.where(coins[:, None, None, None], real, enhanced.detach())
        with autocast():
            scores = self._scores(shown, inputs).float()
        return self._update(self.objective.critic_loss_mixed(scores, coins), None, scores, coins)

    def state_dict(self) -> dict[str, Any]:
        """The critic, its optimizer, and its number of updates."""
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]

    def _update(self, loss: Tensor, penalty: Tensor | None, scores: Tensor, is_real: Tensor) -> dict[str, Tensor]:
        self.optimizer.zero_grad()
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        grad_norm = self.optimizer.step()
        self.objective.after_step(self.critic)
        self.updates += 1
        accuracy = self.objective.accuracy(scores.detach(), is_real)
        stats = {"critic_loss": loss.detach(), "critic_grad_norm": grad_norm, "critic_accuracy": accuracy}
        return stats if penalty is None else stats | {"critic_penalty": penalty.detach()}

    def _scores(self, images: Tensor, inputs: Tensor) -> Tensor:
        scores: Tensor = self.critic(images, self._critic_inputs(inputs))
        return scores

    def _critic_inputs(self, inputs: Tensor) -> Tensor | None:
        return inputs if self.critic.sees_input else None
