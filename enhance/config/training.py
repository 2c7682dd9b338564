"""The parameters of training: losses, the micro-run itself, augmentation, the training rules, the guard."""

from dataclasses import dataclass

from enhance.config.domain import choice, leaf, weights

# --- the generator's loss ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The weights of the loss terms and the variants of each term; see `enhance.losses`. A zero weight costs nothing.

    DPED's texture loss is the adversarial term with the critic "dped" and the objective "bce".
    """

    # All off by default: every sweep must say what it trains on, and a configuration without a term is refused.
    pixel: float = leaf(0.0, minimum=0)
    color: float = leaf(0.0, minimum=0)
    content: float = leaf(0.0, minimum=0)
    style: float = leaf(0.0, minimum=0)
    ms_ssim: float = leaf(0.0, minimum=0, added=True)
    tv: float = leaf(0.0, minimum=0)
    adversarial: float = leaf(0.0, minimum=0)
    cycle: float = leaf(0.0, minimum=0)
    identity: float = leaf(0.0, minimum=0)
    pixel_norm: str = choice("l1", "mse")
    color_blur: str = choice("code", "paper")
    content_layer: str = choice("relu5_4", "relu1_2", "relu2_2", "relu3_4", "relu4_4")
    content_norm: str = choice("mse", "l1", "paper")
    style_layer: str = choice("relu4_4", "relu1_2", "relu2_2", "relu3_4", "relu5_4")
    vgg_weights: str = weights()  # one VGG-19 serves both content and style
    vgg_input: str = choice("torchvision", "dped")
    tv_form: str = choice("code", "paper")


# --- the micro-run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The micro-run itself.

    rule: how to train; see `enhance.rules`.
    steps: the full budget, even if a trial is stopped earlier; schedules are laid out over it.
    dtype: of the training step; "bf16" is autocast over fp32 weights. Evaluation is always fp32.
    tf32: let a GPU round the inputs of fp32 convolutions and matrix products to TF32's 10 bits during training.
    cudnn_benchmark: let cuDNN time its kernels for each shape and take the fastest. Which one that is may change from
        run to run, and with it the last bits of a trial.
    memory_format: of networks and pictures during training.
    ema: decay of the exponential moving average of the weights that is evaluated; 0 evaluates the weights themselves.
    val_images: number of validation patches, spread evenly over the set; a smaller set is used whole.
    vary: what changes with the trial's seed: "everything"; "initialisation", only the initial weights; "data", only
        what is drawn during training (batches, augmentation, noise). The rest stays as with seed 0; see
        `enhance.training.seeds`.
    """

    rule: str = choice("paired", "phased", "cycle")
    # Steps, batch and crop suit minutes on two CPU cores. DPED's are 20,000 steps of 50 crops of 100 px, as sweeps have
    # them with --budget full.
    steps: int = leaf(600, minimum=1)
    batch_size: int = leaf(8, minimum=1)
    crop_px: int = leaf(32, minimum=2)
    dtype: str = choice("fp32", "bf16")
    tf32: bool = leaf(False, added=True)
    cudnn_benchmark: bool = leaf(False, added=True)
    memory_format: str = choice("channels_last", "contiguous", added=True)
    ema: float = leaf(0.0, minimum=0, maximum=0.99999)
    val_images: int = leaf(60, minimum=1)
    vary: str = choice("everything", "initialisation", "data")


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Random changes applied to input and target alike; see `enhance.training.augment`.

    flips: mirror along each axis with probability 1/2. brightness, contrast, saturation: scale each sample by a factor
    drawn from [1 - value, 1 + value] (pix2pix task B); 0 turns it off.
    """

    flips: bool = leaf(True)
    brightness: float = leaf(0.0, minimum=0, maximum=0.9)
    contrast: float = leaf(0.0, minimum=0, maximum=0.9)
    saturation: float = leaf(0.0, minimum=0, maximum=0.9)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhasesConfig:
    """The rule "phased" (EnhanceGAN re-implementation): each phase starts from the weights of the one before.

    Phase 1 trains the base network; phase 2 adds the CurveBlock at `curve_at`, and phase 3 the adversarial term at
    `adversarial_at`, both as shares of the steps. At 0 a phase starts with the first step (both at 0: everything trains
    at once); at 1 it never starts. Each phase resets the optimizer and multiplies the learning rate by `lr_factor`.
    Until phase 3 the content weight is multiplied by `content_factor` (the re-implementation weighs L1 and features 1:1
    at first and 100:10 later, so its factor is 10).
    """

    curve_at: float = leaf(0.0, minimum=0, maximum=1)
    adversarial_at: float = leaf(0.0, minimum=0, maximum=1)
    lr_factor: float = leaf(1.0, above=0, maximum=1)
    content_factor: float = leaf(1.0, above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleConfig:
    """The rule "cycle" (CycleGAN). `pool_images`: how many earlier outputs the critics also see; 0 for none."""

    pool_images: int = leaf(0, minimum=0, maximum=10_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """When a trial counts as diverged; see `enhance.training.guard`.

    window_steps: steps per window of the nan and explosion checks.
    explosion: the loss may grow to this multiple of its size in the first window.
    collapse: an output that once had more contrast must keep this share of the input's contrast; 0 turns the check off.
    stagnation: after the full budget, PSNR may be at most this many dB below the untouched input's; 0 turns it off.
    """

    window_steps: int = leaf(25, minimum=1)
    explosion: float = leaf(1e3, above=1)
    collapse: float = leaf(0.05, minimum=0, maximum=1)
    stagnation: float = leaf(0.0, minimum=0)
