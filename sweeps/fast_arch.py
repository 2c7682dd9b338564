"""Which kernel, width, depth, strides and activation give the best quality for their latency?"""

from dataclasses import replace

from enhance.conditions import Conditions
from sweeps.engine.command import main
from sweeps.engine.space import Choice, When
from sweeps.engine.sweep import Budget, Sweep

STRIDED = {"net.family": "strided", "net.activation": "relu"}
PRELU = {"net.family": "strided", "net.activation": "prelu"}
RESNET = {"net.family": "resnet", "net.activation": "relu"}
CONVOLUTIONS = ("resnet", "strided", "shuffle", "separable")
PLAIN = {"net.norm": "none", "net.init": "he"}
FOUND = "FPIE (2018): smaller networks lose little quality; its strided 3-4 16-64 matches DPED's in a third of the time"

GRID = Sweep(
    name="fast_arch_grid",
    question="Do the 24 networks in FPIE's tables rank here as they did there, in latency and in quality?",
    found=FOUND,
    space={
        "net.family": Choice("resnet", "strided"),
        "net.kernel": Choice(3, 4, 5),
        "net.channels": Choice(16, 32, 64, 128),
        "net.blocks": When("net.family", "resnet", Choice(1, 2, 3, 4)),
        "net.strided_kernel": When("net.family", "strided", Choice(3, 4)),
        "net.activation": Choice("relu", "prelu"),
    },
    # Table 1: kernel/channels/blocks; Table 2: kernel (with -4: 4 in strided layers), channels at both scales
    enqueue={
        "3/64/4": {**RESNET, "net.kernel": 3, "net.channels": 64, "net.blocks": 4},
        "3/16/1": {**RESNET, "net.kernel": 3, "net.channels": 16, "net.blocks": 1},
        "3/16/2": {**RESNET, "net.kernel": 3, "net.channels": 16, "net.blocks": 2},
        "3/16/3": {**RESNET, "net.kernel": 3, "net.channels": 16, "net.blocks": 3},
        "3/16/4": {**RESNET, "net.kernel": 3, "net.channels": 16, "net.blocks": 4},
        "3/32/2": {**RESNET, "net.kernel": 3, "net.channels": 32, "net.blocks": 2},
        "3/32/4": {**RESNET, "net.kernel": 3, "net.channels": 32, "net.blocks": 4},
        "3/128/1": {**RESNET, "net.kernel": 3, "net.channels": 128, "net.blocks": 1},
        "3/128/3": {**RESNET, "net.kernel": 3, "net.channels": 128, "net.blocks": 3},
        "5/16/1": {**RESNET, "net.kernel": 5, "net.channels": 16, "net.blocks": 1},
        "5/16/2": {**RESNET, "net.kernel": 5, "net.channels": 16, "net.blocks": 2},
        "5/16/3": {**RESNET, "net.kernel": 5, "net.channels": 16, "net.blocks": 3},
        "5/16/4": {**RESNET, "net.kernel": 5, "net.channels": 16, "net.blocks": 4},
        "5/32/2": {**RESNET, "net.kernel": 5, "net.channels": 32, "net.blocks": 2},
        "5/32/4": {**RESNET, "net.kernel": 5, "net.channels": 32, "net.blocks": 4},
        "5/128/1": {**RESNET, "net.kernel": 5, "net.channels": 128, "net.blocks": 1},
        "5/128/3": {**RESNET, "net.kernel": 5, "net.channels": 128, "net.blocks": 3},
        "3 16-64": {**STRIDED, "net.kernel": 3, "net.channels": 16, "net.strided_kernel": 3},
        "3 32-128": {**STRIDED, "net.kernel": 3, "net.channels": 32, "net.strided_kernel": 3},
        "3-4 16-64": {**STRIDED, "net.kernel": 3, "net.channels": 16, "net.strided_kernel": 4},
        "3-4 32-128": {**STRIDED, "net.kernel": 3, "net.channels": 32, "net.strided_kernel": 4},
        "4 16-64": {**STRIDED, "net.kernel": 4, "net.channels": 16, "net.strided_kernel": 4},
        "4 32-128": {**STRIDED, "net.kernel": 4, "net.channels": 32, "net.strided_kernel": 4},
        "4 32-128 PReLU": {**PRELU, "net.kernel": 4, "net.channels": 32, "net.strided_kernel": 4},
    },
    fixed={
        "net.norm": "instance",
        "net.init": "dped",  # with "he", networks of 128 channels collapse at the paper's learning rate
        "optimizer.lr": 5e-4,
        "loss.pixel": 1.0,
        "train.batch_size": 4,
        "train.crop_px": 32,
    },
    objectives=("ms_ssim", "latency_ratio"),
    budget=Budget(trials=24, steps=90, rungs=1),
    smoke=Budget(trials=3, steps=2, rungs=1),
    # Nothing is stopped; the rungs are there for the curves, which a replay can search.
    full=Budget(trials=24, steps=25_000, rungs=3, reduction=3, seeds=2, confirm=6, confirm_seeds=3),
    full_fixed={  # FPIE's: DPED's losses, 50 crops of 100 px
        "loss.pixel": 0.0,
        "loss.content": 0.1,
        "loss.color": 75.0,
        "loss.adversarial": 0.5,
        "loss.tv": 20.0,
        "loss.content_layer": "relu5_4",
        "train.batch_size": 50,
        "train.crop_px": 100,
    },
    # The question is about the order of all 24, so all are trained to the end.
    stopping="none",
    cost=Conditions(min_rounds=3, max_s=60.0),
)

OPEN = replace(
    GRID,
    name="fast_arch",
    question="Which family, kernel, width, depth and activation give the best quality for their latency?",
    space={
        "net.family": Choice(*CONVOLUTIONS, "quarter", "lut3d", "bilateral", "nafnet", "rsgunet"),
        "net.kernel": When("net.family", (*CONVOLUTIONS, "quarter"), Choice(3, 5)),
        "net.channels": Choice(8, 16, 32),
        "net.blocks": When("net.family", (*CONVOLUTIONS, "quarter", "nafnet"), Choice(1, 2, 4)),
        "net.strided_kernel": When("net.family", "strided", Choice(3, 4)),
        "net.factor": When("net.family", ("shuffle", "quarter"), Choice(2, 4)),
        "net.activation": When("net.family", (*CONVOLUTIONS, "quarter"), Choice("relu", "prelu")),
        "net.color": When("net.family", "quarter", Choice("cubic", "grid")),
        "net.vertices": When("net.family", "lut3d", Choice(9, 17, 33)),
        # With at most 32 channels "he" does not collapse, and in a short run it ends better than DPED's start.
        "net.norm": When("net.family", CONVOLUTIONS, Choice("none")),
        "net.init": When("net.family", CONVOLUTIONS, Choice("he")),
    },
    enqueue={
        "3/16/1": {**GRID.enqueue["3/16/1"], **PLAIN},
        "3-4 16-64": {**GRID.enqueue["3-4 16-64"], **PLAIN, "net.blocks": 2},
        "image-adaptive 3D LUT": {"net.family": "lut3d", "net.channels": 16, "net.vertices": 33},
        "HDRNet": {"net.family": "bilateral", "net.channels": 8},
    },
    fixed={"optimizer.lr": 1e-3, "loss.pixel": 0.16, "loss.ms_ssim": 0.84, "train.batch_size": 8, "train.crop_px": 32},
    budget=Budget(trials=20, steps=450, rungs=2, reduction=3, confirm=2, confirm_seeds=2),
    smoke=Budget(trials=3, steps=6, rungs=2, reduction=3, confirm=1, confirm_seeds=1),
    full_fixed={**GRID.full_fixed, "loss.ms_ssim": 0.0, "train.crop_px": 96},  # what an RSGUNet can halve
    full=Budget(trials=150, steps=20_000, rungs=4, reduction=3, confirm=6, confirm_seeds=3, audit_share=0.05),
    stopping="pareto",
    cost=Conditions(width_px=640, height_px=360, min_rounds=3, max_s=10.0),
)

SWEEPS = {"open": OPEN, "grid": GRID}

if __name__ == "__main__":
    main(SWEEPS, switch="--space", default="open")
