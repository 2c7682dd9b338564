"""Small ledgers, written with only pyarrow: an independent statement of the ledger's contract."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN0 = "run0"
RUNGS = (150, 300, 450, 600)
TWO = ({"metric": "psnr_db", "direction": "maximize"}, {"metric": "ms_ssim", "direction": "maximize"})
_TYPES = {
    "metric.": pa.float64(),
    "spread.": pa.float64(),
    "loss.": pa.float64(),
    "untouched.": pa.float64(),
    "cost.latency": pa.float64(),
}


def write_rows(path: Path, rows: Sequence[Row], version: str | None = "2") -> Path:
    """One ledger file as the writer makes it: one column per name, floats typed, page checksums, a schema version."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([row.get(name) for row in rows], type=_type(name)) for name in names}
    metadata = {} if version is None else {b"teststrip.schema": version.encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, write_page_checksum=True)
    return path


def _type(name: str) -> pa.DataType | None:
    if name in ("started", "time.started", "time.ended"):
        return pa.timestamp("us", tz="UTC")
    return next((kind for prefix, kind in _TYPES.items() if name.startswith(prefix)), None)


def run_row(**changes: Any) -> Row:
    """The row of one invocation."""
    row: Row = {
        "run": RUN0,
        "sweep": "loss_weights",
        "question": "Which weights of the loss terms give the best picture?",
        "command": "python sweeps/loss_weights.py",
        "objectives": json.dumps(TWO),
        "contract": json.dumps({"rungs": RUNGS, "reduction": 2, "audit_share": 0.25, "stopping": "pareto"}),
        "started": START,
        **_where(),
    }
    return {**row, **changes}


def _where() -> Row:
    return {
        "run.code": "c0de",
        "run.data": "da7a",
        "run.data_spec": "demo",
        "run.teststrip": "0.1.0",
        "run.torch": "2.11.0",
        "run.python": "3.11.9",
        "run.host": "darkroom",
        "run.device": "cpu",
    }


def trial_row(number: int, psnr_db: float | None = 20.0, ms_ssim: float | None = 0.9, **changes: Any) -> Row:
    """The row of one trial; by default a completed one of a configuration of its own."""
    row: Row = {
        "trial": f"trial{number:05d}",
        "sweep": "loss_weights",
        "stage": "search",
        "number": number,
        "configuration": f"conf{number:05d}",
        "seed": 0,
        "config.net.channels": 16,
        "config.loss.color": 0.25 * number,
        "metric.psnr_db": psnr_db,
        "metric.ms_ssim": ms_ssim,
        "untouched.psnr_db": 18.0,
        "untouched.ms_ssim": 0.80,
        "spread.psnr_db": None if psnr_db is None else 2.0,
        "spread.ms_ssim": None if ms_ssim is None else 0.02,
        "images": 24,
        "ending": "completed",
        "reason": "",
        "rung": 3,
        "spared": -1,
        "steps": 600,
        "cost.parameters": 1000 + number,
        "time.started": START + timedelta(seconds=number),
        "time.ended": START + timedelta(seconds=number + 30),
        "time.train_s": 25.0,
        "time.eval_s": 4.0,
        "time.wall_s": 30.0,
        "run.run": RUN0,
        "run.threads": 1,
        **_where(),
    }
    return {**row, **changes}


def lost_row(number: int, ending: str = "diverged", **changes: Any) -> Row:
    """The row of a trial that never reported."""
    reasons = {"diverged": "loss is not finite at step 12", "failed": "out of memory", "refused": "no such network"}
    reason = reasons[ending]
    return trial_row(number, None, None, ending=ending, reason=reason, rung=-1, steps=12, **changes)


def report_row(trial: int, step: int, psnr_db: float, ms_ssim: float, **changes: Any) -> Row:
    """The row of one report."""
    row: Row = {
        "trial": f"trial{trial:05d}",
        "step": step,
        "metric.psnr_db": psnr_db,
        "metric.ms_ssim": ms_ssim,
        "untouched.psnr_db": 18.0,
        "untouched.ms_ssim": 0.80,
        "spread.psnr_db": 2.0,
        "spread.ms_ssim": 0.02,
        "loss.pixel": 0.1,
        "loss.color": None,
        "loss.total": 0.1,
        "grad_norm": 1.0,
        "spared": -1,
        "cost.parameters": 1000 + trial,
        "learning_rate": 5e-4,
        "train_s": 6.0,
        "eval_s": 1.0,
    }
    return {**row, **changes}


def cost_row(net: Row, latency_ratio: float | None, **changes: Any) -> Row:
    """The row of one measured network, of which `net` has the leaves; None: the measurement failed."""
    known = latency_ratio is not None
    row: Row = {
        "network": json.dumps(net, sort_keys=True),
        **{f"config.net.{name}": value for name, value in net.items()},
        "cost.parameters": 1000,
        "cost.macs": 5_000_000_000,
        "cost.peak_memory_bytes": 2**20,
        "cost.latency_ms": 400.0 * latency_ratio if known else None,
        "cost.latency_p95_ms": 420.0 * latency_ratio if known else None,
        "cost.latency_ratio": latency_ratio,
        "cost.latency_ratio_low": 0.96 * latency_ratio if known else None,
        "cost.latency_ratio_high": 1.05 * latency_ratio if known else None,
        "cost.baseline_ms": 400.0 if known else None,
        "cost.rounds": 7,
        "cost.width_px": 1280,
        "cost.height_px": 720,
        "cost.device": "cpu",
        "cost.device_name": "Two Slow Cores",
        "cost.threads": 1,
        "cost.dtype": "fp32",
        "cost.memory_format": "contiguous",
        "cost.compiled": False,
        "cost.load_1min": 1.1,
        "cost.contended": False,
        "cost.contention": "",
        "cost.failure": "" if known else "out of memory",
        **_where(),
    }
    return {**row, **changes}


def write_run(
    run: Path,
    trials: Sequence[Row],
    reports: Sequence[Row] = (),
    runs: Sequence[Row] | None = None,
    costs: Sequence[Row] = (),
) -> Path:
    """A whole ledger in the folder `run`, one file per table; every trial has its start.

    An invocation that is not named otherwise is this folder's own, so that no two folders are copies of one run.
    """
    told = [run_row()] if runs is None else runs
    own = {"run": f"the run of {run}"}
    write_rows(run / "runs" / "0001.parquet", [{**row, **own} if row["run"] == RUN0 else row for row in told])
    kept = ("trial", "number", "configuration", "seed")
    starts = [{**{name: row[name] for name in kept}, "started": row["time.started"]} for row in trials]
    for name, rows in (("trials", trials), ("reports", reports), ("starts", starts), ("costs", costs)):
        if rows:
            write_rows(run / name / "0001.parquet", rows)
    return run


def sweep_rows(n: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Trials and reports of a plausible sweep of `n` trials: a third completed, some diverged, most stopped."""
    rng = np.random.default_rng(seed)
    trials, reports = [], []
    for number in range(n):
        quality, trade = rng.normal(0, 0.7), rng.normal(0, 0.35)
        psnr_db, ms_ssim = 21 + quality + trade, 0.93 + 0.012 * quality - 0.016 * trade
        settings = {
            "config.loss.color": float(10 ** rng.uniform(-2, 0.5)),
            "config.loss.texture": float(10 ** rng.uniform(-1, 1)),
            "config.optimizer.lr": float(10 ** rng.uniform(-4, -2.5)),
        }
        ending = rng.choice(["completed", "stopped", "diverged", "failed"], p=[0.3, 0.6, 0.08, 0.02])
        if ending in ("diverged", "failed"):
            trials.append(lost_row(number, str(ending), **settings))
            continue
        last = 4 if ending == "completed" else int(rng.integers(1, 4))
        for rung in range(1, last + 1):
            fall = 0.6 ** (rung - 1) - 0.6**3
            reports.append(report_row(number, 150 * rung, psnr_db - 3 * fall, ms_ssim - 0.08 * fall))
        reason = "" if ending == "completed" else f"worse than the front at rung {last - 1}"
        measured = (psnr_db - 3 * (0.6 ** (last - 1) - 0.6**3), ms_ssim - 0.08 * (0.6 ** (last - 1) - 0.6**3))
        place = {"ending": str(ending), "reason": reason, "rung": last - 1, "steps": 150 * last}
        trials.append(trial_row(number, *measured, **place, **settings))
    return trials, reports


def confirmed(trials: Sequence[Row], seeds: Mapping[str, int], seed: int) -> list[Row]:
    """Confirmation trials: for each configuration so many fresh seeds, a little worse than what the search saw."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for configuration, count in seeds.items():
        found = next(row for row in trials if row["configuration"] == configuration)
        for extra in range(count):
            shift = rng.normal(-0.1, 0.15)
            number = 10_000 + len(rows)
            changes = {"trial": f"trial{number}", "number": number, "stage": "confirm", "seed": 1000 + extra}
            measured = {
                "metric.psnr_db": found["metric.psnr_db"] + shift,
                "metric.ms_ssim": found["metric.ms_ssim"] + 0.02 * rng.normal(0, 0.1),
            }
            rows.append({**found, **changes, **measured})
    return rows
