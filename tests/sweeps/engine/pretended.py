"""A small sweep, and a fake worker whose curves follow a formula: tests of the engine without training."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

from enhance.report import Report
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.protocol import Assignment, Progress
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.trials import RunContext
from sweeps.engine.space import Log
from sweeps.engine.sweep import Budget, Sweep

CONTEXT = RunContext(
    data="d" * 16,
    code="c" * 16,
    columns={"run.run": "r1", "run.code": "c" * 16, "run.data": "d" * 16, "run.data_spec": "demo"},
)


UNREPORTED_S = 1800.0
"""What a pretended trial that ends by itself has spent since its last report."""

OPEN_LEDGERS = contextlib.ExitStack()


def open_ledger(root: Path) -> Ledger:
    """The ledger of a driver that goes on until it closes it, or the test ends."""
    return OPEN_LEDGERS.enter_context(Ledger(root))


def small_sweep(**changes: object) -> Sweep:
    values: dict[str, object] = {
        "name": "small",
        "question": "Which weight?",
        "found": "nothing yet",
        "space": {"loss.color": Log(0.1, 10.0), "loss.tv": Log(0.1, 10.0)},
        "fixed": {"net.channels": 4, "net.blocks": 0, "loss.pixel": 1.0},
        "enqueue": {"even": {"loss.color": 1.0, "loss.tv": 1.0}},
        "objectives": ("psnr_db", "ms_ssim"),
        "budget": Budget(trials=9, steps=90, rungs=3, reduction=3),
        "smoke": Budget(trials=2, steps=9, rungs=2),
        "full": Budget(trials=9, steps=900, rungs=3),
    }
    return Sweep(**{**values, **changes})  # type: ignore[arg-type]


def score(config: dict[str, object], seed: int, step: int) -> float:
    """PSNR in dB of a pretended trial: best at color = tv = 1, growing with the steps, a little different per seed."""
    distance = abs(math.log(float(config["loss.color"]))) + abs(math.log(float(config["loss.tv"])))  # type: ignore[arg-type]
    return 20 - distance + math.log1p(step) + 0.01 * seed


def report_at(step: int, psnr_db: float) -> Report:
    return Report(
        step=step,
        metrics={"psnr_db": psnr_db, "ms_ssim": psnr_db / 40},
        spread={"psnr_db": 1.0, "ms_ssim": 0.01},
        untouched={"psnr_db": 18.0, "ms_ssim": 0.4},
        images=10,
        losses={"pixel": 1 / step},
        signals={"critic_accuracy": 0.5},
        loss_total=1 / step,
        grad_norm=0.5,
        learning_rate=5e-4,
        train_s=0.1,
        eval_s=0.01,
    )


class PretendedWorker:
    """Trains nothing; answers as a worker would. `trouble` may name an ending for an assignment at a step."""

    def __init__(self, trouble: Callable[[Assignment, int], str] | None = None) -> None:
        self.trouble = trouble or (lambda assignment, step: "")
        self.trained: list[tuple[str, int]] = []
        self.captured: str | None = None

    def start(self, assignment: Assignment) -> None:
        self.assignment, self.rungs = assignment, iter(assignment.rung_steps)

    def advance(self) -> Progress:
        step = next(self.rungs)
        ending = self.trouble(self.assignment, step)
        self.trained.append((self.assignment.trial, step))
        report = None if ending else report_at(step, score(self.assignment.config, self.assignment.seed, step))
        return Progress(
            trial=self.assignment.trial,
            report=report,
            ending=ending,
            reason="as told" if ending else "",
            parameters=100,
            host="here",
            wall_s=1.0,
            steps=step,
            unreported_s=UNREPORTED_S if ending else 0.0,
            captured=self.captured,
        )


def play(controller: RunController, worker: PretendedWorker, trials: int | None = None) -> None:
    """Carry assignments to the worker, at most `trials` of them."""
    count = 0
    while (trials is None or count < trials) and (assignment := controller.next_assignment()):
        worker.start(assignment)
        while controller.hear(worker.advance()):
            pass
        count += 1
