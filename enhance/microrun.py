"""The micro-run: one configuration and one seed, trained in short stretches, reporting at the end of each.

Knows nothing of Ray, of trials or of files. The batch at step t is a pure function of (seed, t); weights are drawn
from generators of their own; so on a CPU with fixed threads a micro-run gives the same bits whether it runs alone,
after others in the same process, or is stopped and resumed from its state.
"""

import contextlib
import functools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enhance import metrics
from enhance.config import Config, OptimizerConfig
from enhance.critics import DPEDCritic
from enhance.data import PairStore
from enhance.data.batches import Stream, batch_plan, gather, generator_at
from enhance.guard import Diverged, Guard
from enhance.losses import Losses, critic_loss
from enhance.nets import build_net
from enhance.report import Report

EVAL_BATCH = 20


class MicroRun:
    """Trains one network; `advance(steps)` goes on from wherever it stands.

    `data` gives uint8 pairs of one size; `device` is a torch device name. Raises ValueError where the data are
    smaller than the configured crop.
    """

    def __init__(self, config: Config, seed: int, data: PairStore, device: str = "cpu") -> None:
        self.config, self.seed, self.data, self.device = config, seed, data, torch.device(device)
        self.step = 0
        self.net = build_net(config.net, seed).to(self.device).to(memory_format=torch.channels_last)
        self.losses = Losses(config.loss, self.device, channels_last=True)
        self._terms = tuple(self.losses.weights)
        self.optimizer = _adam(self.net, config.optimizer)
        self.critic: DPEDCritic | None = None
        if config.loss.texture > 0:
            self.critic = DPEDCritic(config.train.crop_px, seed).to(self.device)
            self.critic_optimizer = _adam(self.critic, config.critic)
        self.guard = Guard(config.guard)
        self._since_report = _Means(self._terms, self.device)
        self._in_window = _Means(self._terms, self.device)
        self._validation = validation(data, config.train.val_images)

    @property
    def parameters(self) -> int:
        """How many trainable numbers the network has (the critic not counted)."""
        return sum(p.numel() for p in self.net.parameters())

    def advance(self, steps: int) -> Report:
        """Train for `steps` more steps, then evaluate. Raises Diverged (and the run must not be advanced again)."""
        started = time.perf_counter()
        self.net.train()
        for _ in range(steps):
            self._train_step()
            if self.step % self.config.guard.window_steps == 0:
                self._check_window()
        trained = time.perf_counter()
        means = self._since_report.take()
        scores, spread, images = self._evaluate()
        return Report(
            step=self.step,
            metrics=scores,
            spread=spread,
            untouched=self._validation.untouched,
            images=images,
            losses={name: means[name] for name in self._terms},
            loss_total=means["total"],
            grad_norm=means["grad_norm"],
            learning_rate=self.config.optimizer.lr,
            train_s=trained - started,
            eval_s=time.perf_counter() - trained,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a fresh MicroRun of the same configuration, seed and data needs to go on from here."""
        state: dict[str, Any] = {
            "step": self.step,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "first_size": self.guard.first_size,
            "since_report": self._since_report.state(),
            "in_window": self._in_window.state(),
        }
        if self.critic is not None:
            state |= {"critic": self.critic.state_dict(), "critic_optimizer": self.critic_optimizer.state_dict()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state saved by `state_dict`; raises KeyError or RuntimeError where it does not fit."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.guard.first_size = state["first_size"]
        self._since_report.load(state["since_report"])
        self._in_window.load(state["in_window"])
        self.step = state["step"]

    # --- training ------------------------------------------------------------------------------------------------

    def _train_step(self) -> None:
        """One generator step and, where the texture loss is on, one critic step on a fresh batch (DPED's order)."""
        source, target = self._batch(Stream.GENERATOR)
        if self.critic is not None:
            self.critic.requires_grad_(False)  # the generator step needs gradients through it, not for it
        with self._autocast():
            output = self.net(source)
            logits = None if self.critic is None else self.critic(output)
            terms = self.losses(output.float(), target, None if logits is None else logits.float())
        weighted = self.losses.weighted(terms)
        total = weighted.sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        grads = [p.grad for p in self.net.parameters() if p.grad is not None]
        grad_norm = torch.nn.utils.get_total_norm(grads)
        self.optimizer.step()
        if self.critic is not None:
            self._critic_step(self.critic)
        self.step += 1
        size = weighted.detach().abs().sum()
        for means in (self._since_report, self._in_window):
            means.add(terms, total.detach(), size, grad_norm)

    def _critic_step(self, critic: DPEDCritic) -> None:
        """Each sample shows the critic either the enhanced picture or the target, by a seeded coin (DPED's code)."""
        critic.requires_grad_(True)
        source, target = self._batch(Stream.CRITIC)
        coins = generator_at(self.seed, self.step, stream=Stream.COIN).integers(0, 2, len(source), dtype=bool)
        real = torch.from_numpy(coins).to(self.device)
        with self._autocast():
            with torch.no_grad():
                enhanced = self.net(source).float()
            logits = critic(torch.where(real[:, None, None, None], target, enhanced))
        loss = critic_loss(logits.float(), real)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic_optimizer.step()

    def _batch(self, stream: Stream) -> tuple[Tensor, Tensor]:
        """The input and target crops of this step: (B, 3, crop, crop), channels last, in [0, 1]."""
        train = self.config.train
        plan = batch_plan(
            self.seed,
            self.step,
            count=len(self.data.train_input),
            size_px=self.data.train_input.shape[1],
            batch_size=train.batch_size,
            crop_px=train.crop_px,
            flips=train.flips,
            stream=stream,
        )
        source, target = (gather(array, plan) for array in (self.data.train_input, self.data.train_target))
        return images_from_uint8(source, self.device), images_from_uint8(target, self.device)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        enabled = self.config.train.dtype == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _check_window(self) -> None:
        means = self._in_window.take()
        self.guard.check(self.step, means["size"], means["grad_norm"])

    # --- evaluation ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def enhance(self, pictures: np.ndarray) -> Tensor:
        """The network's output, (N, 3, H, W) float32 and not clipped, for uint8 pictures (N, H, W, 3)."""
        self.net.eval()
        parts = [pictures[i : i + EVAL_BATCH] for i in range(0, len(pictures), EVAL_BATCH)]
        return torch.cat([self.net(images_from_uint8(part, self.device)) for part in parts])

    def _evaluate(self) -> tuple[dict[str, float], dict[str, float], int]:
        """Mean and spread of every metric over the validation pairs. Raises Diverged where a metric is not finite."""
        pairs = self._validation
        scores = metrics.evaluate(self.enhance(pairs.source), images_from_uint8(pairs.target, self.device))
        scores["psnr_gain_db"] = scores["psnr_db"] - pairs.untouched_db.to(self.device)
        means = {name: float(values.mean()) for name, values in scores.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise Diverged("nan", self.step, f"not finite on validation: {', '.join(bad)}")
        spread = {name: float(values.std()) if len(values) > 1 else 0.0 for name, values in scores.items()}
        return means, spread, len(pairs.source)


class _Means:
    """Running means of a step's figures, kept on the device: reading them is the only moment that waits for it."""

    def __init__(self, terms: tuple[str, ...], device: torch.device) -> None:
        self.names = (*terms, "total", "size", "grad_norm")
        self.sums = torch.zeros(len(self.names), dtype=torch.float64, device=device)
        self.count = 0

    def add(self, terms: dict[str, Tensor], total: Tensor, size: Tensor, grad_norm: Tensor) -> None:
        values = [terms[name].detach() for name in self.names[:-3]]
        self.sums += torch.stack([*values, total, size, grad_norm])
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means since the last taking; starts over."""
        means = dict(zip(self.names, (self.sums / max(self.count, 1)).tolist(), strict=True))
        self.sums.zero_()
        self.count = 0
        return means

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.clone(), "count": self.count}

    def load(self, state: dict[str, Any]) -> None:
        self.sums.copy_(state["sums"])
        self.count = state["count"]


def images_from_uint8(pictures: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [0, 1]; the memory stays channels-last."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float().div_(255)


@dataclass(frozen=True)
class Validation:
    """The validation pairs of a trial, uint8 (N, H, W, 3), and how the untouched inputs score on them.

    `untouched` are mean metrics, what any network has to beat; `untouched_db` is the PSNR of each input.
    """

    source: np.ndarray
    target: np.ndarray
    untouched: dict[str, float]
    untouched_db: Tensor


def validation(data: PairStore, limit: int) -> Validation:
    """At most `limit` validation pairs, spread evenly over the set."""
    return _validation(data.path, data.fingerprint, limit)


@functools.lru_cache(maxsize=4)  # trial after trial of a worker asks for the same pairs of the same immutable file
def _validation(path: Path, fingerprint: str, limit: int) -> Validation:
    data = PairStore.open(path)
    count = len(data.val_input)
    chosen = np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int))
    source, target = data.val_input[chosen], data.val_target[chosen]
    scores = metrics.evaluate(images_from_uint8(source), images_from_uint8(target))
    means = {name: float(values.mean()) for name, values in scores.items()}
    return Validation(source, target, means, scores["psnr_db"])


def _adam(module: torch.nn.Module, config: OptimizerConfig) -> torch.optim.Adam:
    # eps 1e-8 is TensorFlow's default in the DPED code too; fused makes the step one call instead of six.
    return torch.optim.Adam(module.parameters(), lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
