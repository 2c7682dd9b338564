"""A run of two tiny networks that really train, within a second or two, to print from."""

from collections.abc import Mapping
from pathlib import Path

from enhance.config import Scalar
from sweeps.engine.command import run
from sweeps.engine.space import Choice
from sweeps.engine.sweep import Budget, Sweep

FIXED: Mapping[str, Scalar] = {
    "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.batch_size": 2, "train.crop_px": 32,
    "train.val_images": 3, "train.dtype": "fp32", "train.ema": 0.9, "optimizer.warmup_share": 0.25,
    "guard.stagnation": 0.0,
}  # fmt: skip
BUDGET = Budget(trials=2, steps=8, rungs=1, confirm=1, confirm_seeds=2)
SWEEP = Sweep(
    name="tiny",
    question="Which learning rate?",
    found="nothing yet",
    space={"optimizer.lr": Choice(1e-3, 2e-3)},
    fixed=FIXED,
    objectives=("psnr_db", "parameters"),
    budget=BUDGET,
    smoke=BUDGET,
    full=BUDGET,
    sampler="random",
)


def train(out: Path) -> Path:
    """Run the sweep into `out`."""
    assert run(SWEEP, ["--workers", "0", "--samples", "0", "--out", str(out)]) == 0
    return out
