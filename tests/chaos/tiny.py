"""The sweep that is disturbed: two parameters, three rungs, an audit, a confirmation; a whole run takes seconds.

Its trials are real ones, with a network of one layer, so that bit-equal means something.
"""

from sweeps.engine.command import main
from sweeps.engine.space import Log
from sweeps.engine.sweep import Budget, Sweep

BUDGET = Budget(trials=9, steps=9, rungs=3, reduction=3, confirm=1, confirm_seeds=2, audit_share=0.2)

SWEEP = Sweep(
    name="tiny",
    question="Does a run survive this?",
    found="docs/reliability.md",
    space={"loss.color": Log(0.1, 10.0), "loss.tv": Log(0.1, 10.0)},
    fixed={
        "net.channels": 4,
        "net.blocks": 0,
        "net.kernel": 1,
        "loss.pixel": 1.0,
        "train.batch_size": 2,
        "train.crop_px": 32,
        "train.val_images": 2,
        "train.dtype": "fp32",
    },
    objectives=("psnr_db", "ms_ssim"),
    budget=BUDGET,
    smoke=BUDGET,
    full=BUDGET,
)

OPTIONS = ("--reproducible", "--samples", "1")
"""A reproducible run makes the same decisions again, so that every row has a counterpart in an undisturbed run."""

if __name__ == "__main__":
    main(SWEEP)
