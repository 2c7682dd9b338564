"""How stable is training: how much do results vary with the seed, and from which learning rate on do runs diverge?"""

from sweeps.engine.command import main
from sweeps.engine.designs import Grid
from sweeps.engine.space import Choice, Log
from sweeps.engine.sweep import Budget, Sweep

SWEEP = Sweep(
    name="stability",
    question="How much do results vary with the seed, and from which learning rate on does training diverge?",
    found="the EnhanceGAN re-implementation: BCE with Adam diverged; each recipe was run only once",
    space={
        "optimizer.lr": Log(2e-4, 3e-2),  # pix2pix has 2e-4, DPED 5e-4; at the upper end no seed survives
        "train.vary": Choice("everything", "initialisation", "data"),
    },
    # 7 learning rates for each of the three: 21 trials.
    design=Grid(levels=7),
    fixed={
        "net.family": "resnet",
        "net.channels": 8,
        "net.blocks": 1,
        "net.norm": "none",
        "net.init": "he",
        "loss.pixel": 100.0,  # 100 to 5, as in phase 3 of the re-implementation
        "loss.adversarial": 5.0,
        "critic.family": "patch",
        "critic.channels": 8,
        "critic.layers": 2,
        "train.val_images": 30,
        "guard.stagnation": 12.0,  # in dB: an output collapsed to two colors still passes the contrast guard
    },
    objectives=("psnr_db",),
    stopping="none",  # a trial that is stopped early cannot diverge
    answered_by="stability",
    budget=Budget(trials=21, steps=150, rungs=2, reduction=3, seeds=4),
    smoke=Budget(trials=3, steps=3, rungs=1, seeds=2),
    full=Budget(trials=21, steps=20_000, rungs=3, reduction=3, seeds=10),
    full_fixed={
        "net.channels": 64,
        "net.blocks": 4,
        "net.norm": "instance",
        "net.init": "dped",
        "critic.channels": 64,
        "critic.layers": 3,
        "train.batch_size": 50,
        "train.crop_px": 100,
        "train.val_images": 400,
    },
)

if __name__ == "__main__":
    main(SWEEP)
