"""The gallery: which trials give samples, what is recorded, and that a resumed run records nothing twice."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from enhance.data import PatchStore
from enhance.samples import Photo, Sample, read_photo
from sweeps import fast_arch
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.display.plan import render_plan
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.cli.options import parse
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.protocol import Assignment, Progress
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.samples import Gallery
from sweeps.engine.sweep import Budget
from sweeps.engine.workers.worker import Worker
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, open_ledger, play, small_sweep

BUDGET = Budget(trials=9, steps=90, rungs=3, reduction=3, confirm=1, confirm_seeds=2)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    path = tmp_path / "garden.jpg"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)).save(path)
    return read_photo(path)


class Painter(PretendedWorker):
    """A pretended worker that gives samples with its last report, as it was asked to."""

    def advance(self) -> Progress:
        progress = super().advance()
        assert progress.report is not None
        if progress.report.step < self.assignment.rung_steps[-1]:
            return progress
        name = self.assignment.trial.encode()
        images = [f"validation/{index}" for index in range(self.assignment.wanted.fixed)]
        images += [photo.image for photo in self.assignment.wanted.photos]
        return replace(
            progress, samples=tuple(Sample(image=image, scores={"psnr_db": 20.0}, output=name) for image in images)
        )


def controlled(ledger: Ledger, gallery: Gallery | None) -> RunController:
    controller = RunController(small_sweep(budget=BUDGET), ledger, CONTEXT)
    controller.gallery = gallery
    return controller


def rows(root: Path, dataset: str, *key: str) -> list[dict[str, Any]]:
    return read_rows(root, dataset, list(key))[0]


@pytest.mark.slow
def test_what_completes_gives_samples_and_the_confirmed_the_photographs(
    ledger: Ledger, demo: PatchStore, photo: Photo
) -> None:
    play(controlled(ledger, Gallery(demo, 3, (photo,), confirms=True)), Painter())
    completed = {
        row["trial"]: row["stage"] for row in rows(ledger.root, "trials", "trial") if row["ending"] == "completed"
    }
    found: dict[str, set[str]] = {}
    for row in rows(ledger.root, "samples", "trial", "image"):
        assert row["output"] == row["trial"].encode()
        assert row["step"] == 90
        found.setdefault(row["trial"], set()).add(row["image"])
    fixed = {"validation/0", "validation/1", "validation/2"}
    wanted = {"search": fixed, "confirm": {*fixed, photo.image}}
    assert found == {trial: wanted[stage] for trial, stage in completed.items()}
    assert set(completed.values()) == {"search", "confirm"}


def test_where_nothing_is_confirmed_every_trial_enhances_the_photographs(demo: PatchStore, photo: Photo) -> None:
    assert Gallery(demo, 3, (photo,), confirms=False).wanted("search").photos == (photo,)
    assert Gallery(demo, 3, (photo,), confirms=True).wanted("search").photos == ()


@pytest.mark.slow
def test_originals_are_recorded_once_with_the_pixels_of_the_data(
    ledger: Ledger, demo: PatchStore, photo: Photo
) -> None:
    play(controlled(ledger, Gallery(demo, 2, (photo,), confirms=True)), Painter())
    originals = {row["image"]: row for row in rows(ledger.root, "originals", "image", "input")}
    assert set(originals) == {"validation/0", "validation/1", photo.image}
    assert originals[photo.image] == {"image": photo.image, "input": photo.jpeg, "target": None}
    for side, pictures in (("input", demo.val_input), ("target", demo.val_target)):
        (ledger.root / "seen.png").write_bytes(originals["validation/1"][side])
        np.testing.assert_array_equal(np.asarray(Image.open(ledger.root / "seen.png")), pictures[1])
    assert len(list((ledger.root / "originals").glob("part-*"))) == 2  # those of the first trial, and the photograph


@pytest.mark.slow
def test_a_resumed_run_records_no_sample_twice_and_misses_none(ledger: Ledger, demo: PatchStore) -> None:
    """Killed before any commit: samples come before the report that makes them unnecessary."""
    play(controlled(ledger, Gallery(demo, 2, (), confirms=True)), Painter())
    whole = rows(ledger.root, "samples", "trial", "image")
    commits = sorted(path for kind in ("samples", "reports", "trials") for path in (ledger.root / kind).glob("part-*"))
    order = {path.name: path.parent.name for path in commits}
    last = "reports"
    for name in sorted(order):
        assert not (order[name] == "trials" and last == "samples")
        last = order[name]
    ledger.close()
    again = open_ledger(ledger.root)
    recorded = {row["image"] for row in rows(ledger.root, "originals", "image")}
    resumed = controlled(again, Gallery(demo, 2, (), True, recorded))
    gone = next(iter((again.root / "trials").glob("part-*")))
    gone.unlink()  # as if killed before this one
    keys = {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}
    resumed.restore(**{name: rows(again.root, name, *key) for name, key in keys.items()})
    play(resumed, Painter())
    assert rows(again.root, "samples", "trial", "image") == whole
    assert len(list((again.root / "originals").glob("part-*"))) == 1


def test_a_worker_gives_samples_with_the_last_report_only(demo: PatchStore, photo: Photo) -> None:
    config = {
        "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 4, "train.batch_size": 2,
        "train.crop_px": 32, "train.val_images": 5,
    }  # fmt: skip
    wanted = Gallery(demo, 2, (photo,), confirms=False).wanted("search")
    worker = Worker(demo.path, "cpu")
    worker.start(Assignment(trial="t", config=config, seed=0, rung_steps=(2, 4), wanted=wanted))
    first, last = worker.advance(), worker.advance()
    assert isinstance(first, Progress)
    assert isinstance(last, Progress)
    assert first.samples == ()
    assert [sample.image.split("/")[0] for sample in last.samples] == ["validation"] * 5 + ["photo"]
    assert 2 <= sum(sample.output is not None for sample in last.samples[:5]) <= 4


def test_a_photograph_that_fails_costs_no_trial(
    demo: PatchStore, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: object, photo: Photo) -> Sample:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("enhance.microrun.MicroRun.photo_sample", fail)
    config = {
        "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 2, "train.batch_size": 2,
        "train.crop_px": 32, "train.val_images": 2,
    }  # fmt: skip
    worker = Worker(demo.path, "cpu")
    wanted = Gallery(demo, 0, (photo,), confirms=False).wanted("search")
    worker.start(Assignment(trial="t", config=config, seed=0, rung_steps=(2,), wanted=wanted))
    progress = worker.advance()
    assert isinstance(progress, Progress)
    assert progress.ending == ""
    assert progress.report is not None
    (sample,) = progress.samples
    assert sample.output is None
    assert sample.failure.startswith("out of memory on this machine: RuntimeError")


def test_the_command_line_takes_photographs_and_refuses_what_is_none(tmp_path: Path) -> None:
    sweep = small_sweep(budget=BUDGET)
    path = tmp_path / "garden.png"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(path)
    _, options = parse(sweep, ["--photo", str(path), "--photo", str(path), "--samples", "3"], "")
    assert [photo.image.split("#")[0] for photo in options.photos] == ["photo/garden.png"]
    assert options.samples == 3
    assert parse(sweep, [], "")[1].samples == 4
    (tmp_path / "words.jpg").write_text("no picture")
    with pytest.raises(UsageError, match=r"--photo .*words.jpg: unreadable: .*give a JPEG or PNG in color"):
        parse(sweep, ["--photo", str(tmp_path / "words.jpg")], "")
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(UsageError, match=r"--photo .*grey.png: not RGB: mode L"):
        parse(sweep, ["--photo", str(tmp_path / "grey.png")], "")
    with pytest.raises(UsageError, match="'-1' must be a whole number >= 0"):
        parse(sweep, ["--samples=-1"], "")


def test_the_plan_says_what_is_kept_and_how_much_it_is(tmp_path: Path) -> None:
    path = tmp_path / "garden.png"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(path)
    sweep = small_sweep(budget=BUDGET)
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(render_plan(*parse(sweep, ["--photo", str(path)], "")))
    said = console.export_text()
    assert "4 validation patches" in said
    assert "about 0.12 MB per trial, at most 1.3 MB" in said  # 9 trials and 2 confirmations of 6 pictures
    assert "garden.png, enhanced by the confirmed networks" in said
    console.print(render_plan(*parse(sweep, ["--samples", "0"], "")))
    said = console.export_text()
    assert "pictures" not in said
    assert "beware" not in said


def test_the_plan_warns_of_families_that_are_meant_to_see_photos() -> None:
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(render_plan(*parse(fast_arch.OPEN, [], "")))
    said = console.export_text()
    assert said.count("beware") == 1
    assert "quarter, lut3d, bilateral, nafnet, rsgunet: what is done to a picture depends on the whole of it" in said
