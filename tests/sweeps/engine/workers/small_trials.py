"""Trials of a few steps of every kind, and how to give one to a worker."""

from typing import Any

import pytest

from enhance.config import Scalar
from enhance.report import Report
from sweeps.engine.protocol import Assignment, Progress
from sweeps.engine.workers.worker import Worker

PIXEL: dict[str, Scalar] = {
    "net.channels": 4, "net.blocks": 0, "net.kernel": 1, "loss.pixel": 1.0, "train.steps": 7, "train.batch_size": 2,
    "train.crop_px": 32, "train.val_images": 4,
}  # fmt: skip
PATCH: dict[str, Scalar] = {"critic.family": "patch", "critic.channels": 4, "critic.layers": 2, "loss.adversarial": 1.0}
CYCLE: dict[str, Scalar] = {
    "train.rule": "cycle", "loss.pixel": 0.0, "loss.cycle": 10.0, "cycle.pool_images": 3, "train.ema": 0.9,
    "optimizer.schedule": "cosine",
}  # fmt: skip
KINDS: dict[str, dict[str, Scalar]] = {
    "pixel": PIXEL,
    "adversarial": {**PIXEL, **PATCH, "critic.norm": "batch"},
    "cycle": {**PIXEL, **PATCH, **CYCLE},
    "bf16": {**PIXEL, "train.dtype": "bf16"},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def assignment(config: dict[str, Scalar], *rung_steps: int, **changes: Any) -> Assignment:
    return Assignment(trial="t1", config=config, seed=0, rung_steps=rung_steps or (2, 4, 7), **changes)


def advanced(worker: Worker, given: Assignment) -> Progress:
    worker.start(given)
    return worker.advance()


def numbers(progress: Progress) -> tuple[object, ...]:
    """Everything in a report but its times."""
    report = progress.report
    assert isinstance(report, Report), progress.reason
    return (
        report.step, report.metrics, report.spread, report.losses, report.signals, report.loss_total,
        report.grad_norm, report.learning_rate,
    )  # fmt: skip
