"""Records grid.parquet: the curves that `python -m sweeps.engine.replay tests/golden/grid.parquet` searches again.

    python -m tests.golden.record_grid

240 configurations of a tiny network on the demo data, each trained once for 81 steps with one thread: about five
minutes. They reach from 62 to 22,460 parameters, so that quality is traded for size. The steps that report are the
rungs of 81 steps at reductions 2, 3 and 4. One row per configuration and step, in the columns of a ledger; `parameters`
and the configuration are repeated in each.
"""

import itertools
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from enhance.config import Scalar, digest, flatten, from_flat
from enhance.data import PatchStore, open_data
from enhance.microrun import MicroRun
from enhance.training.guard import Diverged
from sweeps.engine.ledger.writer import to_table

FILE = Path(__file__).with_name("grid.parquet")

STEPS = (1, 2, 3, 5, 9, 10, 20, 27, 40, 81)

AXES: dict[str, tuple[Scalar, ...]] = {
    "net.channels": (2, 4, 8, 16),
    "net.blocks": (0, 1),
    "net.kernel": (1, 3, 5),
    "optimizer.schedule": ("constant", "cosine"),
    "optimizer.lr": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
}

FIXED: dict[str, Scalar] = {
    "net.family": "shuffle",
    "net.factor": 2,
    "loss.pixel": 1.0,
    "train.steps": STEPS[-1],
    "train.batch_size": 8,
    "train.crop_px": 32,
    "train.val_images": 16,
}


def curve(values: dict[str, Scalar], store: PatchStore) -> list[dict[str, Any]]:
    """The rows of one configuration; fewer than there are STEPS where it diverges."""
    config = from_flat({**FIXED, **values})
    run = MicroRun(config, seed=0, data=store)
    constant = {
        "trial": digest(config),
        "seed": 0,
        "parameters": run.parameters,
        **{f"config.{name}": value for name, value in flatten(config).items()},
    }
    rows = []
    for before, step in itertools.pairwise((0, *STEPS)):
        try:
            report = run.advance(step - before)
        except Diverged as error:
            print(f"{values} ends before step {step}: {error}")
            break
        scores = {f"metric.{name}": report.metrics[name] for name in ("psnr_db", "ms_ssim")}
        rows.append({**constant, "step": step, **scores, "train_s": report.train_s, "eval_s": report.eval_s})
    return rows


def main() -> None:
    torch.set_num_threads(1)
    store = open_data("demo")
    rows = []
    for number, point in enumerate(itertools.product(*AXES.values())):
        rows += curve(dict(zip(AXES, point, strict=True)), store)
        if number % 20 == 0:
            print(f"{number} configurations, {rows[-1]['metric.psnr_db']:.2f} dB", flush=True)
    pq.write_table(to_table(rows), FILE, write_page_checksum=True, compression="zstd")
    print(f"{len(rows)} rows in {FILE}, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
