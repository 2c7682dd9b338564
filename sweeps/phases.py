"""What does each phase of the EnhanceGAN re-implementation add, and do phases beat training everything at once?"""

from sweeps.engine.command import main
from sweeps.engine.designs import Grid
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Budget, Sweep

SWEEP = Sweep(
    name="phases",
    question="What do the CurveBlock and the critic add: from the first step, in a later phase, or not at all?",
    found="the EnhanceGAN re-implementation: PSNR 23.06, 24.38, 24.34 dB and SSIM .740, .773, .787 after its three "
    "phases, but each phase adds training steps too",
    # Each joins after this fraction of the steps, which are equally many for all: 0 from the start, 1 never.
    space={"phases.curve_at": Choice(1.0, 1 / 3, 0.0), "phases.adversarial_at": Choice(1.0, 2 / 3, 0.0)},
    design=Grid(),
    # Written as above, since a point must have exactly one of the values.
    enqueue={
        "phase 1: base": {"phases.curve_at": 1.0, "phases.adversarial_at": 1.0},
        "phase 2: + CurveBlock": {"phases.curve_at": 1 / 3, "phases.adversarial_at": 1.0},
        "phase 3: + adversarial": {"phases.curve_at": 1 / 3, "phases.adversarial_at": 2 / 3},
        "everything at once": {"phases.curve_at": 0.0, "phases.adversarial_at": 0.0},
    },
    fixed={
        "train.rule": "phased",
        "net.family": "curve",
        "net.base": "shuffle",  # cheap; theirs is a U-Net on a pretrained ResNet-34
        "net.channels": 32,
        "loss.pixel": 100.0,
        "loss.adversarial": 5.0,
        "adversarial.objective": "wasserstein_gp",
        "critic.family": "patch",
        "critic.channels": 16,
        "critic.layers": 2,
        "optimizer.lr": 1e-3,
        "optimizer.schedule": "linear",  # the learning rate depends on the step alone, so what joins late is fine-tuned
        "critic_optimizer.lr": 1e-3,
        "train.batch_size": 8,
        "train.crop_px": 32,
    },
    objectives=("psnr_gain_db", "ssim", "ms_ssim"),
    stopping="none",
    answered_by="ablation",
    budget=Budget(trials=9, steps=300, rungs=2, seeds=3),
    smoke=Budget(trials=4, steps=9, rungs=2),
    full=Budget(trials=9, steps=15_000, rungs=3, seeds=3),  # 40 epochs of 3022 pairs in batches of 8; phase 3 had 20
    full_fixed={
        "net.base": "unet_resnet34",  # pretrained, as theirs: --set net.weights=imagenet
        "loss.content": 10.0,
        "loss.vgg_weights": "imagenet",
        "phases.content_factor": 10.0,
        "critic.channels": 64,
        "critic.layers": 3,
        "train.crop_px": 96,
        "optimizer.lr": 2e-4,
        "critic_optimizer.lr": 2e-4,
    },
)

if __name__ == "__main__":
    main(SWEEP)
