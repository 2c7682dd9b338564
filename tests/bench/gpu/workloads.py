"""What is trained in the benchmark: the trials of every arm are those of one sweep per workload, scale and halving."""

from dataclasses import dataclass

from enhance.config import Scalar
from sweeps.engine.space import Choice, Log, Space
from sweeps.engine.sweep import Budget, Sweep

LOW, HIGH = 1e-4, 1e-2

SCALES: dict[str, dict[str, Scalar]] = {
    "paper": {"train.batch_size": 50, "train.crop_px": 100},
    "demo": {"train.batch_size": 8, "train.crop_px": 32},
}
"""The papers' batches, 50 crops of 100 px, and those of the demo."""

HALVED: dict[str, Scalar] = {"train.crop_px": 96}
"""At the papers' scale, for a U-Net of 5 levels, which cannot halve 100 px so often."""

COMMON: dict[str, Scalar] = {"train.dtype": "bf16", "train.val_images": 20}
ON_A_GPU: dict[str, Scalar] = {"train.cudnn_benchmark": True}
"""The same kernels in every arm."""

PATCH: dict[str, Scalar] = {"loss.pixel": 1.0, "loss.adversarial": 0.01, "critic.family": "patch", "critic.layers": 2}

WORKLOADS: dict[str, dict[str, Scalar]] = {
    **{f"supervised {channels}": {"net.channels": channels, "loss.pixel": 1.0} for channels in (16, 32, 64, 128)},
    "DPED": {
        "net.channels": 32, "loss.color": 0.1, "loss.content": 1.0, "loss.adversarial": 0.4, "loss.tv": 400.0,
        "critic.family": "dped",
    },
    "pix2pix": {
        **PATCH, "net.family": "unet", "net.levels": 5, "net.channels": 32, "critic.conditional": True,
        "loss.pixel": 100.0, "loss.adversarial": 1.0,
    },
    "WGAN-GP": {**PATCH, "net.channels": 32, "adversarial.objective": "wasserstein_gp", "critic.norm": "none"},
    "mixed": {"loss.pixel": 1.0},
}  # fmt: skip
"""The leaves that each workload fixes. No weights are downloaded: VGG-19's are random, which takes as long."""

MIXED: Space = {"net.family": Choice("resnet", "shuffle", "separable"), "net.channels": Choice(16, 32)}
"""What varies in the workload "mixed" beside the learning rate: networks that share no recording."""


@dataclass(frozen=True)
class Job:
    """One set of trials that every arm runs on `device`; `halving`: with three rungs, of which each keeps a third."""

    workload: str
    scale: str
    halving: bool
    trials: int
    steps: int
    device: str = "cuda"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.workload}, {self.scale}{', halving' if self.halving else ''}"

    def fixed(self) -> dict[str, Scalar]:
        """The leaves that do not vary."""
        crops = HALVED if (self.workload, self.scale) == ("pix2pix", "paper") else {}
        kernels = ON_A_GPU if self.device == "cuda" else {}
        return {**COMMON, **kernels, **SCALES[self.scale], **WORKLOADS[self.workload], **crops}

    def budget(self) -> Budget:
        """Nothing is confirmed: every arm ends with its search."""
        return Budget(trials=self.trials, steps=self.steps, rungs=3 if self.halving else 1, reduction=3)

    def sweep(self) -> Sweep:
        """The job as a sweep of this project."""
        return Sweep(
            name="gpu",
            question="What do micro-runs take on a GPU?",
            found="nothing yet",
            space={"optimizer.lr": Log(LOW, HIGH), **(MIXED if self.workload == "mixed" else {})},
            fixed=self.fixed(),
            objectives=("psnr_db",),
            sampler="random",
            budget=self.budget(),
            smoke=Budget(trials=2, steps=2, rungs=1),
            full=Budget(trials=2, steps=2, rungs=1),
        )
