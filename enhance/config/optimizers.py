"""The parameters of the optimizers; see `enhance.training.optimizers`."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """What all optimizers have in common; `optimizer.*` is the generator's, `critic_optimizer.*` the critic's.

    The learning rate rises linearly over the first `warmup_share` of the steps, stays at `lr` until `hold_share`, and
    then follows `schedule` towards 0, which it would reach one step after the last. `clip_norm` is the largest total
    norm of the gradients; larger ones are scaled down to it. 0 turns clipping off.
    """

    name: str
    # The rate in DPED's code.
    lr: float = leaf(5e-4, above=0)
    schedule: str = choice("constant", "cosine", "linear")
    warmup_share: float = leaf(0.0, minimum=0, maximum=0.5)
    hold_share: float = leaf(0.0, minimum=0, maximum=0.99)
    clip_norm: float = leaf(0.0, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamConfig(OptimizerConfig):
    """Adam with the betas of DPED's code (TensorFlow's defaults). pix2pix uses 0.5 and 0.999 (Jain et al.: 0.99)."""

    name: str = choice("adam")
    # torch refuses a beta of 1, and `maximum` is inclusive.
    beta1: float = leaf(0.9, minimum=0, maximum=0.9999)
    beta2: float = leaf(0.999, minimum=0, maximum=0.99999)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamWConfig(OptimizerConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name: str = choice("adamw")
    beta1: float = leaf(0.9, minimum=0, maximum=0.9999)
    beta2: float = leaf(0.999, minimum=0, maximum=0.99999)
    weight_decay: float = leaf(0.01, minimum=0, maximum=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSpropConfig(OptimizerConfig):
    """RMSprop, the usual choice for Wasserstein critics (EnhanceGAN: lr 5e-5)."""

    name: str = choice("rmsprop")
    # torch's default; TensorFlow's is 0.9.
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
    """Muon for the kernels of hidden layers, AdamW for all other parameters (Jordan et al. 2024).

    `lr` is Muon's learning rate, `adamw_lr` AdamW's; both follow the same schedule. See `enhance.training.optimizers`.
    """

    name: str = choice("muon")
    # The authors' default, and torch's.
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
