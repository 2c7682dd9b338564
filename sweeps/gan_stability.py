"""Which GAN objective trains stably, at which learning rates, and why did the EnhanceGAN re-implementation fail?"""

from enhance.config import Scalar
from sweeps.engine.command import main
from sweeps.engine.space import Choice, Log
from sweeps.engine.sweep import Budget, Sweep

PHASE_3: dict[str, Scalar] = {
    "adversarial.objective": "wasserstein_gp",
    "loss.pixel": 20.0,
    "optimizer.name": "adam",
    "optimizer.lr": 1e-3,
    "critic_optimizer.name": "adam",
    "critic_optimizer.lr": 1e-3,
    "adversarial.critic_steps": 1,
    "critic.norm": "instance",
}
"""Where that work ended: 5 * adversarial + 100 * L1, here with the learning rates of a micro-run."""

ATTEMPT_1: dict[str, Scalar] = {"adversarial.objective": "bce", "loss.pixel": 0.0}
"""A "standard GAN": they name no loss but the critic's. Adam has its default learning rate, as in PHASE_3."""

ATTEMPT_2: dict[str, Scalar] = {
    "loss.pixel": 100.0,
    "optimizer.name": "rmsprop",
    "optimizer.lr": 1e-5,
    "critic_optimizer.name": "rmsprop",
    "critic_optimizer.lr": 1e-7,
}
"""The learning rates in their code, the critic's a hundredth of the generator's. Their bug, a CurveBlock with black
output, is not reproduced, and so neither is what followed from it: a critic loss in the hundreds of thousands."""

SWEEP = Sweep(
    name="gan_stability",
    question="Which GAN objective trains stably, at which learning rates, pixel weight, critic steps and critic norm?",
    found="the EnhanceGAN re-implementation failed with BCE (PSNR 16.77 dB, no better than doing nothing), then with "
    "WGAN-GP at wrong learning rates (generator loss stuck at 24), and settled on WGAN-GP; pix2pix x 3 used a clipped "
    "Wasserstein critic for phones, and found BCE more stable for deblurring and HDR",
    space={
        "adversarial.objective": Choice("bce", "least_squares", "wasserstein", "wasserstein_gp", "hinge"),
        "loss.pixel": Choice(0.0, 20.0, 100.0),  # next to an adversarial weight of 1: a pure GAN, phase 3, pix2pix
        "optimizer.name": Choice("adam", "rmsprop"),
        "optimizer.lr": Log(1e-5, 1e-2),
        "critic_optimizer.name": Choice("adam", "rmsprop"),
        "critic_optimizer.lr": Log(1e-7, 1e-2),
        "adversarial.critic_steps": Choice(1, 2, 5),
        "critic.norm": Choice("instance", "none"),  # no batch norm: a gradient penalty forbids it
    },
    enqueue={
        "Wasserstein with penalty, phase 3": PHASE_3,
        "attempt 1: BCE and Adam": PHASE_3 | ATTEMPT_1,
        "attempt 2: WGAN-GP pivot": PHASE_3 | ATTEMPT_2,
        "BCE": PHASE_3 | {"adversarial.objective": "bce"},
        "least squares": PHASE_3 | {"adversarial.objective": "least_squares"},
        "Wasserstein clipped": PHASE_3 | {"adversarial.objective": "wasserstein"},
        "hinge": PHASE_3 | {"adversarial.objective": "hinge"},
    },
    fixed={
        "net.family": "resnet",  # starts from noise, like theirs: a start as the identity would hide stagnation
        "net.channels": 16,
        "net.blocks": 1,
        "net.norm": "none",
        "net.init": "he",
        "critic.family": "patch",
        "critic.channels": 16,
        "critic.layers": 2,
        "loss.adversarial": 1.0,
        "guard.stagnation": 3.0,
    },
    objectives=("psnr_gain_db", "ms_ssim"),
    stopping="none",  # a trial that is stopped early cannot show whether it would have diverged
    answered_by="stability",
    budget=Budget(trials=18, steps=300, rungs=3, confirm=2, confirm_seeds=3),
    smoke=Budget(trials=2, steps=90, rungs=2, confirm=1, confirm_seeds=1),
    full=Budget(trials=60, steps=7500, rungs=4, confirm=4, confirm_seeds=3),  # 20 epochs of 3022 pairs in batches of 8
    full_fixed={"net.channels": 64, "net.blocks": 4, "critic.channels": 64, "critic.layers": 3, "train.crop_px": 96},
)

if __name__ == "__main__":
    main(SWEEP)
