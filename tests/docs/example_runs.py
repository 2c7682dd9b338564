"""Fills a folder with everything that the pages' commands refer to: scripts, runs and data."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.analysis.images.pictured_ledgers import add_samples
from tests.analysis.importance.searched_runs import searched, searched_run
from tests.analysis.written_ledgers import cost_row, sweep_rows, trial_row, write_run
from tests.docs.pages import blocks
from tests.places import ROOT

GOLDEN = ROOT / "tests/golden/version_1"
RESNETS = ((3, 16, 1), (3, 16, 2), (3, 32, 2), (3, 64, 4), (5, 16, 1))


def golden(name: str) -> Callable[[Path], object]:
    """A function that copies the recorded run of a sweep to a place."""
    return lambda place: shutil.copytree(GOLDEN / name, place)


def searched_configurations(place: Path) -> None:
    """Write a run of thirty configurations, because importance needs twenty."""
    trials, reports = searched(30, lambda trial: 20 + float(np.log10(trial["config.loss.color"])), seed=0)
    write_run(place, trials, reports, [searched_run()])


def pictures(place: Path) -> None:
    """Write a run of two networks with samples of their outputs."""
    write_run(place, [trial_row(0, 20.0), trial_row(1, 21.0)])
    add_samples(place, {"trial00000": [10.0 + i for i in range(12)], "trial00001": [20.0 - i for i in range(12)]})


def paper_grid(place: Path) -> None:
    """Write a run of some of FPIE's networks, timed and trained."""
    trials, costs = [], []
    for number, (kernel, channels, blocks_) in enumerate(RESNETS):
        leaves = {"kernel": kernel, "channels": channels, "blocks": blocks_, "norm": "instance", "activation": "relu"}
        net = {"family": "resnet", **leaves, "init": "dped"}
        trials.append({**trial_row(number, 20.0 + number / 10), **{f"config.net.{n}": v for n, v in net.items()}})
        costs.append(cost_row(net, 0.1 * (number + 1)))
    write_run(place, trials, costs=costs)


def ordinary(place: Path) -> None:
    """Write a run of loss weights in which some trials were stopped."""
    write_run(place, *sweep_rows(24, seed=1))


SUITABLE: dict[str, Callable[[Path], object]] = {
    "ablation": golden("loss_terms"),
    "stability": golden("stability"),
    "importance": searched_configurations,
    "images": pictures,
    "compare": ordinary,
    "compare-paper": paper_grid,
    "--costs-from": golden("fast_arch"),
}
"""What runs/NAME holds for a command or an option; for all others, it is the recorded run of loss weights."""


def prepare(folder: Path, words: tuple[str, ...] = ()) -> None:
    """Put into `folder` what a command, given as `words`, or a block of Python looks for."""
    fill = next((SUITABLE[word] for word in words if word in SUITABLE), golden("loss_weights"))
    for name in ("NAME", "A", "B"):
        if not words or any(f"runs/{name}" in word for word in words):
            fill(folder / "runs" / name)
    if any("copies/NAME" in word for word in words) and "fetch" not in words:
        golden("loss_weights")(folder / "copies/NAME")
    if not words or "enhance" in words:
        # Imported here, because most pages need no torch.
        from tests.enhance.saved_network import save_network

        save_network(folder / "runs/NAME/weights/TRIAL")
    (folder / "sweeps").mkdir()
    for script in (ROOT / "sweeps").glob("*.py"):
        (folder / "sweeps" / script.name).symlink_to(script)
    (folder / "sweeps/learning_rate.py").write_text(worked_example())
    (folder / "tests").symlink_to(ROOT / "tests")
    _photographs(folder / "path/to/photos")
    for side in ("iphone", "canon"):
        for part in ("training_data", "test_data/patches"):
            _photographs(folder / "path/to/dped/iphone" / part / side)


def worked_example() -> str:
    """The code of the sweep that docs/writing-a-sweep.md develops."""
    found = [block.text for block in blocks(ROOT / "docs/writing-a-sweep.md") if block.language == "python"]
    assert len(found) == 1
    assert re.search(r"^SWEEP = Sweep\($", found[0], flags=re.MULTILINE)
    return found[0] + "\n"


def _photographs(folder: Path) -> None:
    """Save one photograph of noise, of the size of a DPED patch."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "0.jpg")
