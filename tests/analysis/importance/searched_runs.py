"""Ledgers of searches with a known truth: a space, and scores computed by the test's own function."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.analysis.written_ledgers import RUNGS, Row, report_row, run_row, trial_row

ONE = [{"metric": "psnr_db", "direction": "maximize"}]
SPACE: dict[str, Any] = {
    "net.family": {"kind": "choice", "values": ["resnet", "strided"]},
    "loss.color": {"kind": "log", "low": 0.01, "high": 100.0},
    "loss.tv": {"kind": "uniform", "low": 0.0, "high": 1.0},
    "net.blocks": {
        "kind": "when",
        "name": "net.family",
        "value": "resnet",
        "range": {"kind": "integer", "low": 1, "high": 4, "step": 1},
    },
}
"""A choice, a range in the logarithm, one that is plain, and whole numbers under a condition."""


def drawn(rng: np.random.Generator) -> Row:
    """A random point of SPACE as columns of a trial. Strided networks have `blocks` too, which decide nothing there."""
    return {
        "config.net.family": str(rng.choice(["resnet", "strided"])),
        "config.loss.color": float(10 ** rng.uniform(-2, 2)),
        "config.loss.tv": float(rng.uniform()),
        "config.net.blocks": int(rng.integers(1, 5)),
    }


def contract(**changes: Any) -> dict[str, Any]:
    """What a run over SPACE says of itself."""
    facts = {
        "sweep": "loss_weights",
        "space": SPACE,
        "fixed": {"train.steps": 600, "net.channels": 16},
        "rungs": RUNGS,
        "reduction": 2,
        "seeds": 1,
        "sampler": "random",
        "stopping": "pareto",
        "audit_share": 0.25,
        "data": "da7a",
        "code": "c0de",
    }
    return {**facts, **changes}


def searched_run(**changes: Any) -> Row:
    """The row of the invocation; `changes` are those of its contract."""
    return run_row(objectives=json.dumps(ONE), contract=json.dumps(contract(**changes)))


def searched(
    n: int,
    score: Callable[[Mapping[str, Any]], float],
    seed: int,
    stopped: Callable[[int], bool] = lambda number: False,
) -> tuple[list[Row], list[Row]]:
    """Trials and reports of `n` random points. At every rung the PSNR is what `score` says of the trial's columns.

    Where `stopped` says so of a trial's number, it ended at the first rung.
    """
    rng = np.random.default_rng(seed)
    trials, reports = [], []
    for number in range(n):
        point = drawn(rng)
        psnr_db = score(point)
        ended: Row = {"ending": "stopped", "reason": "worse", "rung": 0, "steps": RUNGS[0]} if stopped(number) else {}
        trials.append(trial_row(number, psnr_db, **point, **ended))
        reports += [report_row(number, step, psnr_db, 0.9) for step in RUNGS[: 1 if ended else 4]]
    return trials, reports
