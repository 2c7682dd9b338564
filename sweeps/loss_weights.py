"""Which weights of the content, color, texture and total-variation losses give the best enhancement?"""

from sweeps.engine.command import main
from sweeps.engine.space import Log
from sweeps.engine.sweep import Budget, Sweep

SWEEP = Sweep(
    name="loss_weights",
    question="Which weights of content, color, texture and tv give the best quality?",
    found="DPED (2017) chose them by hand; its paper prints 1, 0.1, 0.4 and 400, its code uses 10, 0.5, 1 and 2000",
    # DPED's texture loss is its adversarial term. Every term here is a mean per element or sample; the authors' sums
    # are converted (see enhance/losses).
    space={
        "loss.content": Log(0.01, 100.0),
        "loss.color": Log(1.0, 100.0),
        "loss.adversarial": Log(0.001, 1.0),
        "loss.tv": Log(0.01, 100.0),
    },
    enqueue={
        # Converted to means at 100 px and batches of 50, the weights are 10, 7500, 50 and 2000 in the code,
        # and 1, 3000, 0.4 and 400 in the paper. Under Adam only their ratios matter.
        "DPED code": {"loss.content": 0.1, "loss.color": 75.0, "loss.adversarial": 0.5, "loss.tv": 20.0},
        "DPED paper": {"loss.content": 0.025, "loss.color": 75.0, "loss.adversarial": 0.01, "loss.tv": 10.0},
    },
    fixed={
        "net.family": "resnet",
        "net.kernel": 3,
        "net.channels": 16,
        "net.blocks": 1,
        "net.norm": "none",  # with instance norm and DPED's start, 600 steps do not reach the input's PSNR
        "net.init": "he",
        "optimizer.lr": 1e-3,
        "loss.content_layer": "relu2_2",
        "adversarial.form": "saturating",  # as in DPED's code; its paper prints the other form
        "adversarial.shown": "coin",
        "train.batch_size": 8,
        "train.crop_px": 32,
    },
    objectives=("psnr_db", "ms_ssim"),
    # Two rungs: at 66 of 600 steps, where a third would be, a high content weight looks hopeless; at 200 it does not.
    budget=Budget(trials=24, steps=600, rungs=2, reduction=3, confirm=2, confirm_seeds=3, audit_share=0.1),
    smoke=Budget(trials=3, steps=9, rungs=2, reduction=3, confirm=1, confirm_seeds=2),
    full=Budget(trials=60, steps=20_000, rungs=3, reduction=3, seeds=2, confirm=3, confirm_seeds=3, audit_share=0.1),
    full_fixed={  # DPED's: 9-64/4 with instance norm, 50 crops of 100 px, relu5_4
        "net.kernel": 3,
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
