"""Training without pairs: two generators that invert each other, each judged by a critic (CycleGAN, Zhu et al. 2017).

`net` turns the phone's pictures into the good camera's, `back` does the reverse. The Keras example for
iphone2dslr_flower uses least squares, weights 10 (cycle) and 5 (identity) and no pool; the original has a pool of 50
pictures. As there, the adversarial, cycle and identity terms are sums over both directions.
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
from enhance.training.kernels import FORMATS
from enhance.training.metrics import psnr_db
from enhance.training.optimizers import Optimizer
from enhance.training.seeds import Seeds

# Keeps the second generator's and critic's seeds apart from any that people choose, yet within 32 bits: torch's CPU
# generator ignores higher ones.
_SECOND = 1 << 31


class Cycle(TrainedNetworks):
    """Both generators take one step together, then both critics learn from the same pictures.

    One optimizer holds the weights of both generators, so clipping treats them as one. With several critic steps, all
    but the first get new pictures.
    """

    def __init__(self, config: Config, seeds: Seeds, data: PatchStore, device: torch.device) -> None:
        super().__init__(config, seeds, data, device)
        self.back = self.nets["back"]
        self.judges: dict[str, Adversary] = {}
        self.pools: dict[str, Pool] = {}
        if config.loss.adversarial:
            for offset, name in ((0, "critic"), (_SECOND, "critic_back")):
                own = seeds.apart(offset)
                self.judges[name] = Adversary(config, own, self.staged, config.train.steps, name)
                self.pools[name] = Pool(
                    config.cycle.pool_images, own.data, self.staged, name, FORMATS[config.train.memory_format]
                )
        self._slots = [f"turn {turn}" for turn in range(config.adversarial.critic_steps if self.judges else 1)]

    def build_nets(self) -> dict[str, Network]:
        """The generator that is evaluated, and the one for the way back."""
        first = self.seeds.initialisation
        return {"net": self.new_net(first), "back": self.new_net(first + _SECOND)}

    def parts(self) -> dict[str, Network | Stateful]:
        """Everything that has a state, by name."""
        return super().parts() | self.judges | {f"{name}_pool": pool for name, pool in self.pools.items()}

    def optimizers(self) -> list[Optimizer]:
        """Those of the networks and of the critics."""
        return [*super().optimizers(), *(judge.optimizer for judge in self.judges.values())]

    def stage(self, step: int) -> None:
        """Prepare one step of both generators and the critics' steps; pretrain the critics before the first."""
        if step == 0 and self.judges:
            self._pretrain()
        self.begin(step)
        self.optimizer.stage()
        for turn, slot in enumerate(self._slots):
            self._stage_turn(slot, self._batch(step, turn))

    def compute(self) -> StepStats:
        """Take one step of both generators, then the critics' steps."""
        first, *others = self._slots
        phone, good = self.feed.sides(first)
        with self.autocast():
            enhanced, degraded = self.net(phone), self.back(good)
            terms = self._terms(phone, good, enhanced, degraded)
        stats = self.descend(terms, self.net.signals())
        if self.judges:
            stats.signals.update(self._learn(first, phone, good, enhanced, degraded))
            for slot in others:
                stats.signals.update(self._learn(slot, *self._fresh(slot)))
        return stats

    def scores(self, source: Tensor, output: Tensor) -> dict[str, Tensor]:
        """ "cycle_psnr_db": how well the way back restores the input from the output, in dB per image."""
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

    def _learn(self, slot: str, phone: Tensor, good: Tensor, enhanced: Tensor, degraded: Tensor) -> dict[str, Tensor]:
        shown = {"critic": (good, enhanced, phone), "critic_back": (phone, degraded, good)}
        signals: dict[str, Tensor] = {}
        for name, (real, made, inputs) in shown.items():
            made = self.pools[name].exchange(slot, made.detach())
            found = self.judges[name].learn(slot, real, made, inputs, self.autocast)
            signals |= {figure.replace("critic", name, 1): value for figure, value in found.items()}
        return signals

    def _fresh(self, slot: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        phone, good = self.feed.sides(slot)
        with torch.no_grad(), self.autocast():
            return phone, good, self.net(phone).float(), self.back(good).float()

    def _pretrain(self) -> None:
        """Steps of the critics alone, before the generators meet them."""
        self.begin(0)
        for batch in range(self.config.adversarial.pretrain_steps):
            self._stage_turn(self._slots[0], batch)
            self._learn(self._slots[0], *self._fresh(self._slots[0]))

    def _stage_turn(self, slot: str, batch: int) -> None:
        self.feed.stage_sides(slot, batch)
        for name, judge in self.judges.items():
            self.pools[name].stage(slot, batch, self.config.train.batch_size)  # each pool draws with its own seeds
            judge.stage(slot)

    def _batch(self, step: int, turn: int) -> int:
        """A unique number for every batch; those of the critics' pretraining come first."""
        game = self.config.adversarial
        return game.pretrain_steps + step * game.critic_steps + turn
