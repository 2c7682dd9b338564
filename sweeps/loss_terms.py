"""Which terms of the loss are needed: how much worse is training without each of them?"""

from enhance.config import Scalar
from sweeps.engine.command import main
from sweeps.engine.designs import Ablation
from sweeps.engine.space import Choice, When
from sweeps.engine.sweep import Budget, Sweep

# Each term has one weight; finding the best weights is left to loss_weights. The ratios of color, content, texture and
# tv are those of DPED's code, converted to means per element and sample. The ratio of pixel to texture, 100 to 1, is
# that of L1 to critic in pix2pix.
COLOR: dict[str, Scalar] = {"loss.color": 75.0}
CONTENT: dict[str, Scalar] = {"loss.content": 0.1}
TEXTURE: dict[str, Scalar] = {"loss.adversarial": 0.5}
TV: dict[str, Scalar] = {"loss.tv": 20.0}
L1: dict[str, Scalar] = {"loss.pixel": 50.0, "loss.pixel_norm": "l1"}
MSE: dict[str, Scalar] = {"loss.pixel": 50.0, "loss.pixel_norm": "mse"}
OFF = dict.fromkeys(("loss.pixel", "loss.color", "loss.content", "loss.adversarial", "loss.tv"), 0.0)

SWEEP = Sweep(
    name="loss_terms",
    question="Which of the terms pixel, color, content, texture (adversarial) and tv are needed?",
    found="MSE alone has the best PSNR on two of three phones (DPED, Table 3); all terms beat L1 alone (pix2pix x 3)",
    space={
        "loss.pixel": Choice(0.0, 50.0),
        "loss.pixel_norm": When("loss.pixel", 50.0, Choice("l1", "mse")),
        "loss.color": Choice(0.0, 75.0),
        "loss.content": Choice(0.0, 0.1),
        "loss.adversarial": Choice(0.0, 0.5),
        "loss.tv": Choice(0.0, 20.0),
    },
    enqueue={  # Table 3 does not mention tv, which is part of DPED's loss; so all four of its settings have it here
        "DPED color+content+texture": OFF | COLOR | CONTENT | TEXTURE | TV,
        "DPED content+texture": OFF | CONTENT | TEXTURE | TV,
        "DPED MSE+texture": OFF | MSE | TEXTURE | TV,
        "DPED MSE": OFF | MSE | TV,
        "pix2pix x 3 L1": OFF | L1,
        "pix2pix x 3 combined": OFF | COLOR | CONTENT | TEXTURE,
    },
    # With the named points twelve in all: the base and six changes to it, of which one, without pixel, is DPED's loss.
    design=Ablation(OFF | L1 | COLOR | CONTENT | TEXTURE | TV),
    fixed={
        "net.family": "resnet",
        "net.channels": 16,
        "net.blocks": 1,
        "net.norm": "none",
        "net.init": "he",
        "optimizer.lr": 1e-3,
        "loss.content_layer": "relu2_2",
        "adversarial.form": "saturating",  # as in DPED's code; its paper prints the other form
        "adversarial.shown": "coin",
    },
    objectives=("psnr_db", "ms_ssim"),
    # Effects are paired over seeds, so every trial must get to the end.
    stopping="none",
    answered_by="ablation",
    budget=Budget(trials=12, steps=200, rungs=1, seeds=3),
    smoke=Budget(trials=3, steps=2, rungs=1, seeds=2),
    full=Budget(trials=12, steps=20_000, rungs=1, seeds=3),
    full_fixed={  # DPED's: 9-64/4 with instance norm, 50 crops of 100 px, relu5_4
        "net.channels": 64,
        "net.blocks": 4,
        "net.norm": "instance",
        "optimizer.lr": 5e-4,
        "loss.content_layer": "relu5_4",
        "train.batch_size": 50,
        "train.crop_px": 100,
    },
)

if __name__ == "__main__":
    main(SWEEP)
