"""The parameters of everything that trains a network: losses, critics, objectives, optimizers, rules."""

from dataclasses import dataclass

from enhance.config.law import choice, leaf, weights

# --- what the generator is trained for ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the loss terms (a zero weight costs nothing) and their named variants; see `enhance.losses`.

    DPED's texture loss is the adversarial term with the critic "dped" and the objective "bce".
    """

    pixel: float = leaf(0.0, minimum=0)
    color: float = leaf(0.0, minimum=0)
    content: float = leaf(0.0, minimum=0)
    style: float = leaf(0.0, minimum=0)
    tv: float = leaf(0.0, minimum=0)
    adversarial: float = leaf(0.0, minimum=0)
    cycle: float = leaf(0.0, minimum=0)
    identity: float = leaf(0.0, minimum=0)
    pixel_norm: str = choice("l1", "mse")
    color_blur: str = choice("code", "paper")
    content_layer: str = choice("relu5_4", "relu1_2", "relu2_2", "relu3_4", "relu4_4")
    content_norm: str = choice("mse", "l1", "paper")
    style_layer: str = choice("relu4_4", "relu1_2", "relu2_2", "relu3_4", "relu5_4")
    vgg_weights: str = weights()  # content and style look through one VGG-19
    vgg_input: str = choice("torchvision", "dped")
    tv_form: str = choice("code", "paper")


# --- critics and their objectives --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticConfig:
    """What all critics have in common."""

    family: str
    norm: str

    @property
    def minimum_px(self) -> int:
        """The smallest crop that the critic can judge."""
        raise NotImplementedError

    @property
    def sees_input(self) -> bool:
        """Whether the critic is shown the input beside the picture that it judges."""
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class DPEDCriticConfig(CriticConfig):
    """DPED's discriminator of grey pictures of one fixed size (its texture loss); see `enhance.critics.dped`."""

    family: str = choice("dped")
    norm: str = choice("instance", "batch")  # the authors' code; their paper's text

    @property
    def minimum_px(self) -> int:
        """Below, the last map is a single pixel, which instance norm turns into a constant."""
        return 17


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchCriticConfig(CriticConfig):
    """PatchGAN: a score for every overlapping patch; `conditional`: the input is shown too (6 channels).

    `layers` strided convolutions: 3 see patches of 70 px. See `enhance.critics.patch`.
    """

    family: str = choice("patch")
    norm: str = choice("instance", "batch", "none")
    conditional: bool = leaf(False)
    channels: int = leaf(64, minimum=1, maximum=256)
    layers: int = leaf(3, minimum=1, maximum=5)

    @property
    def minimum_px(self) -> int:
        """After the strided layers three pixels must be left, of which the next layer makes two, and the last one."""
        return 3 * int(2**self.layers)

    @property
    def sees_input(self) -> bool:
        """Whether it is conditional."""
        return self.conditional


CRITIC_CONFIGS: dict[str, type[CriticConfig]] = {"dped": DPEDCriticConfig, "patch": PatchCriticConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    """What all adversarial objectives have in common; see `enhance.objectives`.

    shown: "both": a critic step shows the real and the enhanced picture of every sample; "coin": one of the two, by a
        seeded coin per sample (DPED's code).
    critic_steps: critic steps per generator step.
    pretrain_steps: critic steps before the first generator step (DPED's paper pre-trains it, its code does not).
    """

    objective: str
    shown: str = choice("both", "coin")
    critic_steps: int = leaf(1, minimum=1, maximum=100)
    pretrain_steps: int = leaf(0, minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class BCEConfig(ObjectiveConfig):
    """Binary cross-entropy (Goodfellow et al. 2014).

    form: "non_saturating" is pix2pix's and DPED's paper, -log p(real); "saturating" is DPED's code, log p(fake).
    """

    objective: str = choice("bce")
    form: str = choice("non_saturating", "saturating")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeastSquaresConfig(ObjectiveConfig):
    """Squared distance of the score to 1 for real and 0 for enhanced (Mao et al. 2017), CycleGAN's."""

    objective: str = choice("least_squares")


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinConfig(ObjectiveConfig):
    """Difference of mean scores, with the critic's weights clipped to [-clip, clip] (Arjovsky et al. 2017).

    The scales of norms are weights too: at 0.01 the critic "dped" is nearly blind (a gap of 1e-7 between scores that
    0.05 drives 15 apart); "patch" with instance norm has no scales and is not.
    """

    objective: str = choice("wasserstein")
    clip: float = leaf(0.01, above=0, maximum=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class WassersteinGPConfig(ObjectiveConfig):
    """Difference of mean scores, with a penalty on the critic's gradient norm (Gulrajani et al. 2017)."""

    objective: str = choice("wasserstein_gp")
    penalty: float = leaf(10.0, above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class HingeConfig(ObjectiveConfig):
    """Hinge loss (Lim and Ye 2017; Miyato et al. 2018)."""

    objective: str = choice("hinge")


OBJECTIVE_CONFIGS: dict[str, type[ObjectiveConfig]] = {
    "bce": BCEConfig,
    "least_squares": LeastSquaresConfig,
    "wasserstein": WassersteinConfig,
    "wasserstein_gp": WassersteinGPConfig,
    "hinge": HingeConfig,
}


# --- optimizers --------------------------------------------------------------------------------------------------


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
    """Muon for the kernels of hidden layers, AdamW for everything else (Jordan et al. 2024); see `enhance.optimizers`.

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


# --- the micro-run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The micro-run itself. `steps` is the full budget, wherever the trial may be stopped before.

    `rule` is how it trains; see `enhance.rules`. `dtype` is that of the training step (bf16 is autocast over fp32
    weights); evaluation is always fp32. `ema`: what is evaluated is an exponential moving average of the weights with
    this decay; 0: the weights themselves. `val_images` is the number of validation patches, spread evenly over the
    set; a smaller set is used whole.
    """

    rule: str = choice("paired", "phased", "cycle")
    steps: int = leaf(600, minimum=1)
    batch_size: int = leaf(8, minimum=1)
    crop_px: int = leaf(32, minimum=2)
    dtype: str = choice("fp32", "bf16")
    ema: float = leaf(0.0, minimum=0, maximum=0.99999)
    val_images: int = leaf(60, minimum=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """What is done to input and target alike; see `enhance.augment`.

    flips: mirrored half of the time in each direction. brightness, contrast, saturation: each sample is scaled by a
    factor drawn between 1 - value and 1 + value (pix2pix task B); 0: never.
    """

    flips: bool = leaf(True)
    brightness: float = leaf(0.0, minimum=0, maximum=0.9)
    contrast: float = leaf(0.0, minimum=0, maximum=0.9)
    saturation: float = leaf(0.0, minimum=0, maximum=0.9)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhasesConfig:
    """The rule "phased" (EnhanceGAN re-implementation): each phase goes on from the weights of the one before.

    Phase 1 trains the base network, phase 2 from `curve_at` with the CurveBlock, phase 3 from `adversarial_at` with the
    adversarial term: shares of the steps. The optimizer starts afresh with each phase, and the learning rate is
    multiplied by `lr_factor`. Before phase 3 the content weight is multiplied by `content_factor` (10: theirs, who
    weigh L1 and features 1 to 1 first, 100 to 10 then).
    """

    curve_at: float = leaf(0.0, minimum=0, maximum=0.99)
    adversarial_at: float = leaf(0.0, minimum=0, maximum=0.99)
    lr_factor: float = leaf(1.0, above=0, maximum=1)
    content_factor: float = leaf(1.0, above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleConfig:
    """The rule "cycle" (CycleGAN). `pool_images`: earlier outputs that the critics are shown; 0: the present only."""

    pool_images: int = leaf(0, minimum=0, maximum=10_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """When a trial counts as diverged; see `enhance.guard`."""

    window_steps: int = leaf(25, minimum=1)
    explosion: float = leaf(1e3, above=1)
