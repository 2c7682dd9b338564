"""The parameters of the optimizers; see `enhance.training.optimizers`."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """What all optimizers have in common: the generator's under `optimizer.*`, the critic's under `critic_optimizer.*`.

    The learning rate rises linearly over the first `warmup_share` of the steps, holds `lr` up to `hold_share`, then
    follows `schedule` down towards 0, which it would reach one step after the last. `clip_norm`: gradients are scaled
    to at most this total norm (0: they are not).
    """

    name: str
    lr: float = leaf(5e-4, above=0)
    schedule: str = choice("constant", "cosine", "linear")
    warmup_share: float = leaf(0.0, minimum=0, maximum=0.5)
    hold_share: float = leaf(0.0, minimum=0, maximum=0.99)
    clip_norm: float = leaf(0.0, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamConfig(OptimizerConfig):
    """Adam; betas as DPED's code has them (TensorFlow's defaults). pix2pix: 0.5 and 0.999 (paper 001: 0.99)."""

    name: str = choice("adam")
    beta1: float = leaf(0.9, minimum=0, maximum=0.9999)
    beta2: float = leaf(0.999, minimum=0, maximum=0.99999)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamWConfig(OptimizerConfig):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019)."""

    name: str = choice("adamw")
    beta1: float = leaf(0.9, minimum=0, maximum=0.9999)
    beta2: float = leaf(0.999, minimum=0, maximum=0.99999)
    weight_decay: float = leaf(0.01, minimum=0, maximum=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSpropConfig(OptimizerConfig):
    """RMSprop, the Wasserstein critics' (EnhanceGAN: 5e-5)."""

    name: str = choice("rmsprop")
    alpha: float = leaf(0.99, minimum=0, maximum=0.9999)
    momentum: float = leaf(0.0, minimum=0, maximum=0.9999)


@dataclass(frozen=True, kw_only=True, slots=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: str = choice("sgd")
    momentum: float = leaf(0.9, minimum=0, maximum=0.9999)
    nesterov: bool = leaf(False)
    weight_decay: float = leaf(0.0, minimum=0, maximum=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class MuonConfig(OptimizerConfig):
    """Muon for the kernels of hidden layers, AdamW for everything else (Jordan et al. 2024).

    See `enhance.training.optimizers`.

    `lr` is Muon's; AdamW's is `adamw_lr`, under the same schedule.
    """

    name: str = choice("muon")
    momentum: float = leaf(0.95, minimum=0, maximum=0.9999)
    weight_decay: float = leaf(0.0, minimum=0, maximum=1)
    adamw_lr: float = leaf(5e-4, above=0)


OPTIMIZER_CONFIGS: dict[str, type[OptimizerConfig]] = {
    "adam": AdamConfig,
    "adamw": AdamWConfig,
    "rmsprop": RMSpropConfig,
    "sgd": SGDConfig,
    "muon": MuonConfig,
}
