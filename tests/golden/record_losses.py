"""Records losses.json: the first losses of every network family, objective and training rule, bit by bit.

    python -m tests.golden.record_losses

A change of a number shows in this file's diff, so record it again only where the change is meant, and say why in the
commit. Sums depend on the instructions of the CPU and on torch's version, so there is one entry for each kind of
machine, and recording replaces only that of the machine it runs on. A new case may be missing from the others.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from enhance.config import Scalar, from_flat
from enhance.config.adversaries import OBJECTIVE_CONFIGS
from enhance.config.nets import NET_CONFIGS
from enhance.config.optimizers import OPTIMIZER_CONFIGS
from enhance.data import PatchStore
from enhance.data.storage.store_writer import StoreWriter, write_store
from enhance.rules import build_rule
from enhance.system.processor import cpu_field
from tests.enhance.steps import train_step

FILE = Path(__file__).with_name("losses.json")

STEPS = 20
PAIRS, PATCH_PX = 8, 64

Flat = dict[str, Scalar]

SMALL: Flat = {"train.batch_size": 2, "train.crop_px": 32, "train.steps": STEPS, "optimizer.lr": 1e-4}
TINY_NET: Flat = {"net.channels": 4, "net.blocks": 1}
DPED_LOSSES: Flat = {"loss.color": 0.5, "loss.content": 1.0, "loss.tv": 400.0, "loss.adversarial": 0.4}
PATCH_CRITIC: Flat = {"critic.family": "patch", "critic.channels": 4, "critic.layers": 2}

SGD: Flat = {"optimizer.name": "sgd", "optimizer.lr": 1e-4}
"""For the cases in which Adam, whose first steps are as large for the tiniest gradient, amplifies the order of sums."""

FAMILIES: dict[str, Flat] = {
    **dict.fromkeys(NET_CONFIGS, TINY_NET),
    "srcnn": {"net.channels": 4},
    "johnson": {**TINY_NET, **SGD},
    "unet": {"net.channels": 4, "net.levels": 4},
    "unet_resnet34": {"net.channels": 2, "train.crop_px": 64, **SGD},  # it takes no smaller pictures
    "lut3d": {"net.channels": 4, "net.vertices": 5, **SGD},
    "bilateral": {"net.channels": 2, **SGD},
    "nafnet": {**TINY_NET, **SGD},
    "rsgunet": {"net.channels": 4, **SGD},
    "polynomial": {**SGD},
    "curve": {"net.base": "resnet", **TINY_NET},
}


def cases() -> dict[str, Flat]:
    """Configurations by name, as small as they can be. Paired, on the pixel loss, where the name says nothing else."""
    resnet = {"net.family": "resnet", **TINY_NET}
    pixel, game = {"loss.pixel": 1.0}, {"loss.pixel": 1.0, "loss.adversarial": 0.1}
    found = {f"family {name}": {"net.family": name, **pixel, **leaves} for name, leaves in FAMILIES.items()}
    for name in OBJECTIVE_CONFIGS:
        found[f"objective {name}"] = {**resnet, **game, **PATCH_CRITIC, "adversarial.objective": name}
    for name in OPTIMIZER_CONFIGS:
        found[f"optimizer {name}"] = {**resnet, **pixel, "optimizer.name": name}
    found["rule paired, DPED's losses"] = {
        **resnet, **DPED_LOSSES, **SGD, "adversarial.shown": "coin",
        "critic_optimizer.name": "sgd", "critic_optimizer.lr": 1e-4,
    }  # fmt: skip
    found["rule paired, style loss"] = {**resnet, **pixel, "loss.style": 1.0, "augment.contrast": 0.2}
    found["rule phased"] = {
        **{"net.family": "curve", **FAMILIES["curve"]}, **game, **PATCH_CRITIC,
        "train.rule": "phased", "phases.curve_at": 0.3, "phases.adversarial_at": 0.6, "phases.lr_factor": 0.5,
    }  # fmt: skip
    found["rule cycle"] = {
        **resnet, **PATCH_CRITIC, "train.rule": "cycle", "adversarial.objective": "least_squares",
        "loss.adversarial": 1.0, "loss.cycle": 10.0, "loss.identity": 5.0, "cycle.pool_images": 4,
    }  # fmt: skip
    return {name: {**SMALL, **leaves} for name, leaves in found.items()}


def make_store(path: Path) -> PatchStore:
    """Smooth noise as targets; the inputs are darker and noisy. The same bytes everywhere, and nothing to unpack."""
    random = np.random.default_rng(0)

    def pack(writer: StoreWriter) -> dict[str, object]:
        for index in range(PAIRS + 1):
            target = gaussian_filter(random.integers(0, 256, (PATCH_PX, PATCH_PX, 3)).astype(float), (2, 2, 0))
            noisy = 0.8 * target + random.integers(-8, 9, target.shape)
            pair = (np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (noisy, target))
            writer.add("train" if index < PAIRS else "val", *pair)
        return {}

    write_store(path, "smooth noise", pack)
    return PatchStore.open(path)


def first_losses(flat: Flat, store: PatchStore) -> list[float]:
    """The weighted total of the generator's loss at each of the first `STEPS` steps, on one thread of the CPU."""
    torch.set_num_threads(1)
    rule = build_rule(from_flat(flat), 0, store, torch.device("cpu"))
    return [float(train_step(rule, step).total) for step in range(STEPS)]


def machine_kind() -> str:
    """What bits depend on beside the code: torch, the CPU's maker, and the instructions that torch chooses there."""
    vendor = next(iter(cpu_field("vendor_id")), "unknown vendor")
    return f"torch {torch.__version__}, {vendor}, {torch.backends.cpu.get_cpu_capability()}"


def read() -> dict[str, dict[str, list[float]]]:
    """The losses by kind of machine and case. They are kept as hexadecimal text, which is exact."""
    return {
        kind: {name: [float.fromhex(loss) for loss in losses] for name, losses in by_case.items()}
        for kind, by_case in json.loads(FILE.read_text()).items()
    }


def main() -> None:
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "noise.patches")
        kept[machine_kind()] = {
            name: [loss.hex() for loss in first_losses(flat, store)] for name, flat in cases().items()
        }
    FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    print(f"recorded {len(cases())} cases of {STEPS} steps for {machine_kind()} in {FILE}")


if __name__ == "__main__":
    main()
