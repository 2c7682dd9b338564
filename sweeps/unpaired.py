"""How should a CycleGAN be set up to learn enhancement from unpaired photographs?"""

from sweeps.engine.command import main
from sweeps.engine.space import Choice, Log
from sweeps.engine.sweep import Budget, Sweep

SWEEP = Sweep(
    name="unpaired",
    question="Which depth, cycle weight, identity weight and image pool let a CycleGAN learn without pairs?",
    found="CycleGAN (2017) uses 9 blocks, weights 10 and 5, a pool of 50; the Keras example has no pool",
    space={
        "net.blocks": Choice(2, 6, 9),
        "loss.cycle": Log(1.0, 100.0),
        "loss.identity": Log(0.1, 100.0),
        "cycle.pool_images": Choice(0, 50),
    },
    enqueue={  # twice their weights, which are for pictures in [-1, 1]: in [0, 1] differences are half as large
        "CycleGAN": {"net.blocks": 9, "loss.cycle": 20.0, "loss.identity": 10.0, "cycle.pool_images": 50},
        "Keras example": {"net.blocks": 9, "loss.cycle": 20.0, "loss.identity": 10.0, "cycle.pool_images": 0},
    },
    fixed={
        "train.rule": "cycle",
        "net.family": "cycle_resnet",
        "net.channels": 8,  # CycleGAN has 64, but this is a micro-run
        "critic.family": "patch",
        "critic.channels": 16,
        "adversarial.objective": "least_squares",
        "loss.adversarial": 1.0,
        "optimizer.lr": 1e-3,
        "optimizer.beta1": 0.5,
        "critic_optimizer.lr": 1e-3,
        "critic_optimizer.beta1": 0.5,
        "train.batch_size": 1,
        "train.crop_px": 64,
    },
    objectives=("cycle_psnr_db",),  # the only score that needs no pairs; with pairs, PSNR is reported as well
    budget=Budget(trials=12, steps=300, rungs=2, reduction=3, confirm=2, confirm_seeds=2),
    smoke=Budget(trials=2, steps=6, rungs=2, reduction=3, confirm=1, confirm_seeds=1),
    full=Budget(trials=12, steps=100_000, rungs=3, reduction=3, confirm=2, confirm_seeds=2),
    full_fixed={  # CycleGAN's: 64 channels in all networks, single crops of 256 px, Adam at 2e-4
        "net.channels": 64,
        "critic.channels": 64,
        "optimizer.lr": 2e-4,
        "critic_optimizer.lr": 2e-4,
        "train.crop_px": 256,
    },
)

if __name__ == "__main__":
    main(SWEEP)
