"""In pix2pix's three tasks (phone to DSLR, deblurring, LDR to HDR), is the output any better than the input?"""

from dataclasses import replace

from enhance.config import Scalar
from sweeps.engine.command import main
from sweeps.engine.designs import Grid
from sweeps.engine.space import Choice, Space, When
from sweeps.engine.sweep import Budget, Sweep

# The paper's U-Net redraws the whole picture; the other network adds a residual to it and starts as the identity.
NETS: Space = {"net.family": Choice("unet", "shuffle"), "net.levels": When("net.family", "unet", Choice(5))}

PIX2PIX: dict[str, Scalar] = {
    "net.channels": 16,
    "critic.family": "patch",
    "critic.conditional": True,
    "critic.channels": 16,
    "critic.layers": 2,
    "loss.pixel": 100.0,
    "optimizer.lr": 2e-3,  # the paper's 2e-4 is for a thousand times as many steps
    "optimizer.beta1": 0.5,
    "optimizer.beta2": 0.99,
    "critic_optimizer.lr": 2e-3,
    "critic_optimizer.beta1": 0.5,
    "critic_optimizer.beta2": 0.99,
}
FULL: dict[str, Scalar] = {
    "net.channels": 64,
    "critic.channels": 64,
    "critic.layers": 3,
    "optimizer.lr": 2e-4,
    "critic_optimizer.lr": 2e-4,
    "train.crop_px": 64,
}

PHONE = Sweep(
    name="tasks_phone",
    question="Phone to DSLR: what do a color loss and a clipped Wasserstein critic add to L1?",
    found="19.51 dB and SSIM .821, below the untouched Sony's 22.92 and .875 (its pairs are not aligned)",
    degradations=("camera",),
    # The paper gives no weight for L1 here; with 1000 the color term is about as large.
    space={**NETS, "loss.color": Choice(0.0, 1000.0), "loss.adversarial": Choice(0.0, 1.0)},
    design=Grid(),
    fixed={**PIX2PIX, "adversarial.objective": "wasserstein"},
    objectives=("psnr_gain_db", "ssim", "uqi"),
    stopping="none",
    answered_by="ablation",
    budget=Budget(trials=8, steps=200, rungs=2, seeds=2),
    smoke=Budget(trials=2, steps=9, rungs=2),
    full=Budget(trials=8, steps=93_600, rungs=3),  # 600 epochs of 4994 pairs in batches of 32
    full_fixed={**FULL, "train.batch_size": 32},
)
DEBLUR = replace(
    PHONE,
    name="tasks_deblur",
    question="Deblurring: what do a perceptual loss and a BCE critic add to L1?",
    found="20.32 dB and SSIM .860, where the blurred input has 22.68 and .703",
    data="deblur:demo",
    degradations=("blur",),
    space={**NETS, "loss.content": Choice(0.0, 1.0), "loss.adversarial": Choice(0.0, 1.0)},
    fixed={**PIX2PIX, "critic.norm": "batch", "loss.content_layer": "relu2_2", "augment.contrast": 0.1},
    full=Budget(trials=8, steps=140_000, rungs=3),  # 400 epochs of 2800 pairs in batches of 8
    full_fixed={**FULL, "loss.vgg_weights": "imagenet"},
)
HDR = replace(
    PHONE,
    name="tasks_hdr",
    question="LDR to HDR: what does a BCE critic add to L1?",
    found="23.94 dB and SSIM .902, where the untouched input has 19.10 and .864",
    data="exposures:demo",  # the paper's data: --data hdr:DIR
    degradations=("exposure",),
    space={**NETS, "loss.adversarial": Choice(0.0, 0.1, 1.0)},
    fixed=PIX2PIX,
    budget=Budget(trials=6, steps=200, rungs=2, seeds=2),
    full=Budget(trials=6, steps=18_800, rungs=3),  # 400 epochs of 374 pairs in batches of 8
    full_fixed=FULL,
)
SWEEPS = {"phone": PHONE, "deblur": DEBLUR, "hdr": HDR}

if __name__ == "__main__":
    main(SWEEPS, switch="--task")
