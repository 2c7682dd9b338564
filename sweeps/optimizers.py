"""Which optimizer trains best in few steps, with which learning rate, momentum, schedule and warm-up?"""

from enhance.config import Scalar
from sweeps.engine.command import main
from sweeps.engine.space import Choice, Log, Uniform, When
from sweeps.engine.sweep import Budget, Sweep

CONSTANT: dict[str, Scalar] = {"optimizer.schedule": "constant", "optimizer.warmup_share": 0.0}
ADAM: dict[str, Scalar] = {"optimizer.name": "adam", **CONSTANT}
RMSPROP: dict[str, Scalar] = {"optimizer.name": "rmsprop", **CONSTANT}

SWEEP = Sweep(
    name="optimizers",
    question="Which optimizer, learning rate, momentum, schedule and warm-up train best in few steps?",
    found="Adam at 5e-4 (DPED) and at 2e-4 with betas 0.5 and 0.99 (pix2pix x 3), RMSprop (EnhanceGAN); not compared",
    space={
        "optimizer.name": Choice("adam", "adamw", "rmsprop", "sgd", "muon"),
        "optimizer.lr": Log(1e-5, 0.1),
        "optimizer.beta1": When("optimizer.name", "adam", Uniform(0.0, 0.99)),  # adamw keeps its defaults
        "optimizer.beta2": When("optimizer.name", "adam", Uniform(0.9, 0.9999)),
        "optimizer.weight_decay": When("optimizer.name", "adamw", Log(1e-4, 1.0)),
        "optimizer.alpha": When("optimizer.name", "rmsprop", Uniform(0.9, 0.9999)),
        "optimizer.momentum": When("optimizer.name", "sgd", Uniform(0.0, 0.99)),
        "optimizer.adamw_lr": When("optimizer.name", "muon", Log(1e-4, 1e-2)),
        "optimizer.schedule": Choice("constant", "cosine", "linear"),
        "optimizer.hold_share": When("optimizer.schedule", "linear", Choice(0.0, 0.5)),
        "optimizer.warmup_share": Uniform(0.0, 0.2),
    },
    enqueue={
        "DPED": ADAM | {"optimizer.lr": 5e-4, "optimizer.beta1": 0.9, "optimizer.beta2": 0.999},
        "pix2pix x 3": ADAM | {"optimizer.lr": 2e-4, "optimizer.beta1": 0.5, "optimizer.beta2": 0.99},
        "EnhanceGAN re-implemented": RMSPROP | {"optimizer.lr": 5e-5, "optimizer.alpha": 0.99},
    },
    fixed={
        "net.family": "resnet",
        "net.channels": 16,
        "net.blocks": 1,
        "net.norm": "none",
        "net.init": "he",
        "loss.pixel": 1.0,  # no critic: the question is about the generator's optimizer
    },
    objectives=("psnr_db",),
    budget=Budget(trials=48, steps=600, rungs=2, reduction=3, confirm=3, confirm_seeds=3, audit_share=0.1),
    smoke=Budget(trials=5, steps=4, rungs=2, reduction=3, confirm=1, confirm_seeds=2),
    full=Budget(trials=100, steps=20_000, rungs=3, reduction=3, confirm=3, confirm_seeds=5, audit_share=0.1),
    full_fixed={  # DPED's: 9-64/4 with instance norm, 50 crops of 100 px
        "net.channels": 64,
        "net.blocks": 4,
        "net.norm": "instance",
        "net.init": "dped",
        "train.batch_size": 50,
        "train.crop_px": 100,
    },
)

if __name__ == "__main__":
    main(SWEEP)
