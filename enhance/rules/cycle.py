"""Training without pairs: two generators that undo each other, each judged by a critic (CycleGAN, Zhu et al. 2017).

`net` makes the good camera's pictures of the phone's, `back` the other way round. The Keras example for
iphone2dslr_flower has least squares, weights 10 (cycle) and 5 (identity), no pool; the original a pool of 50 pictures.
Adversarial, cycle and identity terms are sums over both directions, as there.
"""

import torch
from torch import Tensor

from enhance.config import Config
from enhance.data import PatchStore
from enhance.losses.cycle import cycle, identity
from enhance.nets import Network, apply
from enhance.rules.adversary import Adversary
from enhance.rules.pool import Pool
from enhance.rules.rule import Stateful, StepStats, TrainedNetworks
from enhance.training.metrics import psnr_db
from enhance.training.seeds import Seeds

_SECOND = 1 << 31  # apart from the seeds that people choose; of more than 32 bits torch's CPU generator drops the rest


class Cycle(TrainedNetworks):
    """Both generators take one step together, then both critics learn from the same pictures.

    One optimizer holds the weights of both generators; clipping, if it is on, sees the two as one. With several critic
    steps, those after the first see fresh pictures.
    """

    def __init__(self, config: Config, seeds: Seeds, data: PatchStore, device: torch.device) -> None:
        super().__init__(config, seeds, data, device)
        self.back = self.nets["back"]
        self.judges: dict[str, Adversary] = {}
        self.pools: dict[str, Pool] = {}
        if config.loss.adversarial:
            for offset, name in ((0, "critic"), (_SECOND, "critic_back")):
                own = seeds.apart(offset)
                self.judges[name] = Adversary(config, own, device, config.train.steps)
                self.pools[name] = Pool(config.cycle.pool_images, own.data)

    def build_nets(self) -> dict[str, Network]:
        """The generator that is evaluated, and its way back."""
        first = self.seeds.initialisation
        return {"net": self.new_net(first), "back": self.new_net(first + _SECOND)}

    def parts(self) -> dict[str, Stateful]:
        """Everything with a state, by name."""
        return super().parts() | self.judges | {f"{name}_pool": pool for name, pool in self.pools.items()}

    def train_step(self, step: int) -> StepStats:
        """One step of both generators, and the critics' share of them."""
        self.begin(step)
        if step == 0:
            for update in range(self.config.adversarial.pretrain_steps if self.judges else 0):
                self._learn(*self._fresh(update), update)
        phone, good = self.feed.sides(self._batch(step, 0))
        with self.autocast():
            enhanced, degraded = self.net(phone), self.back(good)
            terms = self._terms(phone, good, enhanced, degraded)
        stats = self.descend(terms, self.net.signals())
        if self.judges:
            stats.signals.update(self._learn(phone, good, enhanced, degraded, self._batch(step, 0)))
            for turn in range(1, self.config.adversarial.critic_steps):
                batch = self._batch(step, turn)
                stats.signals.update(self._learn(*self._fresh(batch), batch))
        return stats

    def scores(self, source: Tensor, output: Tensor) -> dict[str, Tensor]:
        """ "cycle_psnr_db": how well the way back restores the input from what was made of it, in dB per image."""
        self.back.eval()
        return {"cycle_psnr_db": psnr_db(apply(self.back, output), source)}

    def _terms(self, phone: Tensor, good: Tensor, enhanced: Tensor, degraded: Tensor) -> dict[str, Tensor]:
        weights = self.config.loss
        terms = self.losses(enhanced.float(), None)
        if weights.adversarial:
            forth = self.judges["critic"].loss(enhanced, phone)
            terms["adversarial"] = forth + self.judges["critic_back"].loss(degraded, good)
        if weights.cycle:
            terms["cycle"] = cycle(self.back(enhanced), phone) + cycle(self.net(degraded), good)
        if weights.identity:
            terms["identity"] = identity(self.net(good), good) + identity(self.back(phone), phone)
        return terms

    def _learn(self, phone: Tensor, good: Tensor, enhanced: Tensor, degraded: Tensor, batch: int) -> dict[str, Tensor]:
        shown = {"critic": (good, enhanced, phone), "critic_back": (phone, degraded, good)}
        signals: dict[str, Tensor] = {}
        for name, (real, made, inputs) in shown.items():
            made = self.pools[name].exchange(made.detach(), batch)
            found = self.judges[name].learn(real, made, inputs, self.autocast)
            signals |= {figure.replace("critic", name, 1): value for figure, value in found.items()}
        return signals

    def _fresh(self, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        phone, good = self.feed.sides(batch)
        with torch.no_grad(), self.autocast():
            return phone, good, self.net(phone).float(), self.back(good).float()

    def _batch(self, step: int, turn: int) -> int:
        """A number of its own for every batch: those of the critics' pretraining come first."""
        game = self.config.adversarial
        return game.pretrain_steps + step * game.critic_steps + turn
