"""The parameters of training: losses, the micro-run itself, augmentation, the rules, the guard."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf, weights

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


# --- the micro-run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The micro-run itself. `steps` is the full budget, wherever the trial may be stopped before.

    `rule` is how it trains; see `enhance.rules`. `dtype` is that of the training step (bf16 is autocast over fp32
    weights); evaluation is always fp32. `ema`: what is evaluated is an exponential moving average of the weights with
    this decay; 0: the weights themselves. `val_images` is the number of validation patches, spread evenly over the
    set; a smaller set is used whole. `vary` says what depends on the trial's seed: "everything"; "initialisation", the
    first weights alone; "data", whatever is drawn later (batches, augmentation, noise). The rest is as with seed 0; see
    `enhance.training.seeds`.
    """

    rule: str = choice("paired", "phased", "cycle")
    steps: int = leaf(600, minimum=1)
    batch_size: int = leaf(8, minimum=1)
    crop_px: int = leaf(32, minimum=2)
    dtype: str = choice("fp32", "bf16")
    ema: float = leaf(0.0, minimum=0, maximum=0.99999)
    val_images: int = leaf(60, minimum=1)
    vary: str = choice("everything", "initialisation", "data")


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """What is done to input and target alike; see `enhance.training.augment`.

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
    adversarial term: shares of the steps. 0 is from the first step on, so that with both at 0 everything is trained at
    once; 1 is never. The optimizer starts afresh with each phase, and the learning rate is multiplied by `lr_factor`.
    Before phase 3 the content weight is multiplied by `content_factor` (10: theirs, who weigh L1 and features 1 to 1
    first, 100 to 10 then).
    """

    curve_at: float = leaf(0.0, minimum=0, maximum=1)
    adversarial_at: float = leaf(0.0, minimum=0, maximum=1)
    lr_factor: float = leaf(1.0, above=0, maximum=1)
    content_factor: float = leaf(1.0, above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleConfig:
    """The rule "cycle" (CycleGAN). `pool_images`: earlier outputs that the critics are shown; 0: the present only."""

    pool_images: int = leaf(0, minimum=0, maximum=10_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """When a trial counts as diverged; see `enhance.training.guard`.

    explosion: how many times the first window's loss is too much. collapse: which share of the input's contrast is
    too little for an output that has had more; 0: any will do. stagnation: how many dB below the PSNR of the untouched
    input are too much after the full budget; 0: no number is.
    """

    window_steps: int = leaf(25, minimum=1)
    explosion: float = leaf(1e3, above=1)
    collapse: float = leaf(0.05, minimum=0, maximum=1)
    stagnation: float = leaf(0.0, minimum=0)
