"""A critic with its objective and optimizer: the opponent in an adversarial rule."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from enhance.config import Config
from enhance.critics import build_critic
from enhance.critics.objectives import build_objective
from enhance.data.batches import Stream
from enhance.training.feed import noise_seed
from enhance.training.kernels import FORMATS
from enhance.training.optimizers import Optimizer
from enhance.training.seeds import Seeds
from enhance.training.staging import Staged, module_tensors, prefixed, under


class Adversary:
    """Scores pictures for the generator, and learns to tell them from photographs.

    `generator_steps` is the number of generator steps it takes part in. Its learning-rate schedule spans its own
    updates: `critic_steps` for each generator step, and `pretrain_steps` before the first. `updates` counts those that
    were staged.
    """

    def __init__(
        self, config: Config, seeds: Seeds, staged: Staged, generator_steps: int, name: str = "critic"
    ) -> None:
        self.config, self.seeds, self.staged, self.name = config, seeds, staged, name
        self.objective = build_objective(config.adversarial)
        critic = build_critic(config.critic, config.train.crop_px, seeds.initialisation)
        self.critic = critic.to(staged.device).to(memory_format=FORMATS[config.train.memory_format])
        game = config.adversarial
        updates = generator_steps * game.critic_steps + game.pretrain_steps
        self.optimizer = Optimizer([self.critic], config.critic_optimizer, updates)
        self.updates = 0

    def loss(self, enhanced: Tensor, inputs: Tensor) -> Tensor:
        """The generator's adversarial term, shape (). Its gradients pass through the critic, not into its weights."""
        self.critic.requires_grad_(False)
        return self.objective.generator_loss(self._scores(enhanced, inputs))

    def stage(self, slot: str) -> None:
        """Prepare the next update, which is taken in this slot."""
        if self.objective.penalized:
            random = torch.Generator().manual_seed(noise_seed(self.seeds.data, self.updates, Stream.PENALTY))
            shares = torch.rand(self.config.train.batch_size, 1, 1, 1, generator=random)
            self.staged.put(f"{slot} {self.name} shares", shares.numpy())
        self.optimizer.stage(slot)
        self.updates += 1

    def learn(
        self, slot: str, real: Tensor, enhanced: Tensor, inputs: Tensor, autocast: Callable[[], Any]
    ) -> dict[str, Tensor]:
        """Take the staged update on both real and enhanced pictures. Returns detached stats of shape ()."""
        enhanced = enhanced.detach()
        self.critic.requires_grad_(True)
        with autocast():  # in two passes: in one, batch norm would normalize real and enhanced pictures together
            good, made = self._scores(real, inputs).float(), self._scores(enhanced, inputs).float()
        scores = torch.cat((good, made))
        is_real = torch.arange(len(scores), device=scores.device) < len(real)
        loss, penalty = self.objective.critic_loss(good, made), None
        if self.objective.penalized:
            shares = self.staged[f"{slot} {self.name} shares"]
            penalty = self.objective.penalty(self.critic, real, enhanced, self._critic_inputs(inputs), shares)
        return self._update(slot, loss, penalty, scores, is_real)

    def learn_mixed(
        self, slot: str, real: Tensor, enhanced: Tensor, inputs: Tensor, coins: Tensor, autocast: Callable[[], Any]
    ) -> dict[str, Tensor]:
        """Take the staged update on the real or the enhanced picture of each sample, as its coin (B,) bool decides."""
        self.critic.requires_grad_(True)
        shown = torch.where(coins[:, None, None, None], real, enhanced.detach())
        with autocast():
            scores = self._scores(shown, inputs).float()
        return self._update(slot, self.objective.critic_loss_mixed(scores, coins), None, scores, coins)

    def tensors(self, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The critic's weights and buffers, and its optimizer's moments."""
        moments = self.optimizer.tensors(under("optimizer", like))
        return prefixed("critic", module_tensors(self.critic)) | prefixed("optimizer", moments)

    def state_dict(self) -> dict[str, Any]:
        """The critic, its optimizer, and its number of updates."""
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]

    def _update(
        self, slot: str, loss: Tensor, penalty: Tensor | None, scores: Tensor, is_real: Tensor
    ) -> dict[str, Tensor]:
        self.optimizer.zero_grad()
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        grad_norm = self.optimizer.step(slot)
        self.objective.after_step(self.critic)
        accuracy = self.objective.accuracy(scores.detach(), is_real)
        stats = {"critic_loss": loss.detach(), "critic_grad_norm": grad_norm, "critic_accuracy": accuracy}
        return stats if penalty is None else stats | {"critic_penalty": penalty.detach()}

    def _scores(self, images: Tensor, inputs: Tensor) -> Tensor:
        scores: Tensor = self.critic(images, self._critic_inputs(inputs))
        return scores

    def _critic_inputs(self, inputs: Tensor) -> Tensor | None:
        return inputs if self.critic.sees_input else None
