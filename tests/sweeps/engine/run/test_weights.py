"""The weights of a run: whose are kept, that they are complete or absent, and that they are what was evaluated."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import enhance
from enhance.config import Scalar, from_flat
from enhance.data import PatchStore
from enhance.microrun import MicroRun, validation
from enhance.training import metrics
from enhance.training.feed import to_images
from enhance.weights.files import CARD, CONFIG, MODEL, Weights
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.protocol import LAST, Assignment, Progress
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.kept.card import score_text
from sweeps.engine.run.kept.weights import KeptWeights
from sweeps.engine.sweep import Budget
from sweeps.engine.workers.worker import Worker
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, open_ledger, play, report_at, small_sweep

BUDGET = Budget(trials=9, steps=90, rungs=3, reduction=3, confirm=1, confirm_seeds=2)
TINY: dict[str, Scalar] = {
    "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 4, "train.batch_size": 2,
    "train.crop_px": 32, "train.val_images": 5,
}  # fmt: skip


class Killed(BaseException):
    """Stands for a kill of the driver."""


class Sender(PretendedWorker):
    """A pretended worker that sends its trial's name as weights, with the last report, where they were asked for."""

    def advance(self) -> Progress:
        progress = super().advance()
        assert progress.report is not None
        last = progress.report.step == self.assignment.rung_steps[-1]
        wanted = last and self.assignment.weights
        return replace(progress, weights=Weights(self.assignment.trial.encode(), {}) if wanted else None)


def controlled(ledger: Ledger, *, every: bool = False, budget: Budget = BUDGET) -> RunController:
    controller = RunController(small_sweep(budget=budget), ledger, CONTEXT)
    controller.weights = KeptWeights(ledger, "small", CONTEXT, every)
    return controller


def endings(root: Path) -> dict[str, tuple[str, str]]:
    rows, _ = read_rows(root, "trials", ["trial"])
    return {row["trial"]: (row["stage"], row["ending"]) for row in rows}


def kept(root: Path) -> set[str]:
    """The trials whose weights are there; each must be complete, and nothing else may lie beside them."""
    folders = sorted((root / "weights").iterdir()) if (root / "weights").is_dir() else []
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {MODEL, CONFIG, CARD}
        assert (folder / MODEL).read_bytes() == folder.name.encode()
    return {folder.name for folder in folders}


@pytest.mark.parametrize("every", [False, True])
def test_the_confirmed_leave_their_weights_or_all_that_complete(ledger: Ledger, every: bool) -> None:
    play(controlled(ledger, every=every), Sender())
    completed = {trial: stage for trial, (stage, ending) in endings(ledger.root).items() if ending == "completed"}
    assert set(completed.values()) == {"search", "confirm"}
    assert kept(ledger.root) == {trial for trial, stage in completed.items() if every or stage == "confirm"}


@contextlib.contextmanager
def dying_at(moment: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill the driver after its call number `moment`, from 1, to the disk that concerns weights."""
    made = 0

    def dying(original: Callable[..., object]) -> Callable[..., object]:
        def call(target: object, *arguments: object, **more: object) -> object:
            nonlocal made
            place = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
            answer = original(target, *arguments, **more)
            made += "/weights" in place
            if made == moment:
                raise Killed
            return answer

        return call

    with patch.context() as inner:
        for name in ("mkdir", "rename", "fsync"):
            inner.setattr(os, name, dying(getattr(os, name)))
        # The dead tidy up nothing.
        inner.setattr("shutil.rmtree", lambda path, ignore_errors=False: None)
        yield


@pytest.mark.slow
def test_whenever_the_driver_is_killed_no_weights_are_half_there_and_a_resumed_run_has_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget(trials=1, steps=90, rungs=1, confirm=1, confirm_seeds=2)
    for moment in range(1, 100, 2):
        root, killed = tmp_path / str(moment), False
        try:
            with dying_at(moment, monkeypatch), Ledger(root) as ledger:
                play(controlled(ledger, budget=budget), Sender())
        except Killed:
            killed = True
        with Ledger(root) as ledger:
            kept(root)  # whatever is there is whole, and nothing lies beside it
            resumed = controlled(ledger, budget=budget)
            keys = {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}
            resumed.restore(**{name: read_rows(root, name, key)[0] for name, key in keys.items()})
            play(resumed, Sender())
        confirmed = {trial for trial, (stage, _) in endings(root).items() if stage == "confirm"}
        assert len(confirmed) == 2
        assert kept(root) == confirmed
        if not killed:
            assert moment > 10
            return
    pytest.fail("the driver never came to its end")


def test_weights_that_a_killed_driver_left_are_replaced(ledger: Ledger) -> None:
    for content in (b"of a driver that was killed before the report", b"of the one that went on"):
        ledger.commit_folder("weights", "t", {MODEL: content, CONFIG: b"{}"}, mark=CONFIG)
    assert (ledger.root / "weights/t" / MODEL).read_bytes() == b"of the one that went on"
    assert [path.name for path in (ledger.root / "weights").iterdir()] == ["t"]


def test_a_disk_that_refuses_leaves_nothing_behind(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            ledger.commit_folder("weights", "t", {CONFIG: b"{}"}, mark=CONFIG)
    assert not any((ledger.root / "weights").iterdir())


def test_the_card_has_the_scores_with_intervals_and_front_matter_that_parses(ledger: Ledger) -> None:
    play(controlled(ledger), Sender())
    trial = sorted(kept(ledger.root))[0]
    _, front, text = (ledger.root / "weights" / trial / CARD).read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["pipeline_tag"] == "image-to-image"
    assert "license" not in facts
    result = facts["model-index"][0]["results"][0]
    assert {score["type"] for score in result["metrics"]} == {"psnr_db", "ms_ssim"}
    assert result["dataset"]["name"] == "demo"
    (row,) = [row for row in read_rows(ledger.root, "trials", ["trial"])[0] if row["trial"] == trial]
    # 2.262 is Student's t for 9 degrees of freedom: ten pictures with a spread of 1 dB.
    half, score = 2.262 / 10**0.5, row["metric.psnr_db"]
    assert f"| PSNR (dB) | {score:.2f} [{score - half:.2f}, {score + half:.2f}] | 18.00 |" in text
    assert f"`{CONTEXT.data}`" in text
    assert f"`{CONTEXT.code}`" in text


def test_a_score_of_one_picture_has_no_interval() -> None:
    assert score_text(replace(report_at(3, 20.0), images=1), "psnr_db", 20.0) == "20.00"
    assert score_text(replace(report_at(3, 20.0), images=2), "parameters", 1234.0) == "1,234"


def test_a_card_does_not_tell_where_the_data_lie(tmp_path: Path) -> None:
    context = replace(CONTEXT, columns={**CONTEXT.columns, "run.data_spec": "dped:/home/somebody/dped"})
    ledger = open_ledger(tmp_path / "run")
    controller = RunController(small_sweep(budget=BUDGET), ledger, context)
    controller.weights = KeptWeights(ledger, "small", context)
    play(controller, Sender())
    for folder in (ledger.root / "weights").iterdir():
        for name in (CARD, CONFIG):
            assert "somebody" not in (folder / name).read_text()


def test_a_worker_sends_the_network_that_it_evaluated(demo: PatchStore, tmp_path: Path) -> None:
    worker = Worker(demo.path, "cpu")
    flat = {**TINY, "train.ema": 0.5}
    worker.start(Assignment(trial="t", config=flat, seed=0, rung_steps=(2, 4), weights=LAST))
    first, last = worker.advance(), worker.advance()
    assert isinstance(first, Progress)
    assert isinstance(last, Progress)
    assert first.weights is None
    assert last.weights is not None
    assert last.report is not None
    ledger = open_ledger(tmp_path / "run")
    trial = RunController(small_sweep(), ledger, CONTEXT).proposals.trial(0, {"loss.color": 1.0, "loss.tv": 1.0}, "", 0)
    trial.config, trial.parameters = from_flat(flat), last.parameters
    KeptWeights(ledger, "small", CONTEXT).keep(trial, last.report, last.weights)
    folder = ledger.root / "weights" / trial.id
    net, pairs = enhance.load(folder), validation(demo, 5)
    assert pairs.target is not None
    with torch.no_grad():
        output = net(to_images(pairs.source))
    again = MicroRun(from_flat(flat), 0, demo)
    again.advance(4)
    assert torch.equal(output, again.enhance(pairs.source))
    found = metrics.evaluate(output, to_images(pairs.target))
    assert float(found["psnr_db"].mean()) == last.report.metrics["psnr_db"]
    content = json.loads((folder / CONFIG).read_text())
    assert content["trained"]["config"] == {**content["trained"]["config"], **flat}
    assert content["trained"]["step"] == 4
