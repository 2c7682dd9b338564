"""Write a large ledger: `write(folder, trials)`, with the columns, types, page checksums and version of the engine's.

Fifty thousand configurations with twenty seeds and ten reports each make a million trials and ten million reports.
Every configuration has a quality of its own, and slower ones tend to be better; every seed shifts all configurations
alike, and every trial has a little noise.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.ledger.schema import VERSION, VERSION_KEY
from enhance.config import flatten
from sweeps.engine.ledger.encoding import encode_entry
from sweeps.engine.space import Log
from sweeps.loss_weights import SWEEP

SEEDS, RUNGS, FILES = 20, 10, 40
ENDINGS = ("completed", "stopped", "diverged", "failed")
SHARES = (0.60, 0.30, 0.07, 0.03)
METRICS = ("psnr_db", "psnr_gain_db", "ssim", "ms_ssim", "uqi")
OBJECTIVES = ({"metric": "psnr_db", "direction": "maximize"}, {"metric": "latency_ratio", "direction": "minimize"})
VARIED = ("loss.color", "loss.content", "loss.tv", "optimizer.lr")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

Columns = dict[str, Any]


def write(run: Path, trials: int) -> None:
    """Write a run of `trials` trials, a multiple of 800, in 40 files per table."""
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(_write_part, [run] * FILES, range(FILES), [trials // FILES] * FILES))
    rungs = [60 * (rung + 1) for rung in range(RUNGS)]
    searched = {name: encode_entry(Log(1e-4, 1.0)) for name in VARIED}
    contract = json.dumps({"rungs": rungs, "reduction": 2, "audit_share": 0.0, "space": searched})
    row: Columns = {"run": "run0", "sweep": "loss_weights", "question": "Which of a million trials are on the front?",
                    "command": "tests/bench/analysis_scale.py", "objectives": json.dumps(OBJECTIVES),
                    "contract": contract, "started": pd.DatetimeIndex([START]), **_where()}  # fmt: skip
    _save(run / "runs" / "part-00000.parquet", row)


def _write_part(run: Path, part: int, n: int) -> None:
    """Write one file of each table: `n` trials, which are n / 20 configurations with twenty seeds each."""
    rng = np.random.default_rng([7, part])
    configurations = n // SEEDS
    digests = np.array([f"{part:04x}{number:012x}" for number in range(configurations)])
    trials = np.array([f"{part:04x}{number:012x}" for number in rng.permutation(n)])
    log_latency = rng.uniform(-1, 1, configurations)
    quality = 21 + 1.5 * log_latency - rng.exponential(1.0, configurations)
    shared = np.random.default_rng(11).normal(0, 0.1, SEEDS)
    psnr_db = np.repeat(quality, SEEDS) + np.tile(shared, configurations) + rng.normal(0, 0.05, n)
    ending = rng.choice(ENDINGS, n, p=SHARES)
    identity: Columns = {
        "trial": trials, "sweep": "loss_weights", "stage": "search",
        "number": np.repeat(np.arange(configurations) + part * configurations, SEEDS), "label": "",
        "configuration": np.repeat(digests, SEEDS), "seed": np.tile(np.arange(SEEDS), configurations),
        **_config(rng, configurations),
    }  # fmt: skip
    started = pd.Timestamp(START) + pd.to_timedelta(np.arange(n) + part * n, unit="s")
    last: Columns = {
        "images": 60, "ending": ending, "reason": np.where(ending == "completed", "", "worse than the front"),
        "rung": RUNGS - 1, "spared": -1, "steps": 60 * RUNGS, "cost.parameters": 17_139, "time.started": started,
        "time.ended": started + pd.Timedelta(seconds=30), "time.train_s": 25.0, "time.eval_s": 4.0,
        "time.wall_s": 30.0, "run.threads": 1, **_where(),
    }  # fmt: skip
    latency = {"metric.latency_ratio": np.repeat(10**log_latency, SEEDS)}
    _save(run / "trials" / f"part-{part:05d}.parquet", identity | _scores(rng, psnr_db) | latency | last)
    _save(run / "starts" / f"part-{part:05d}.parquet", identity | {"started": started})
    many = n * RUNGS
    reports = {"trial": np.repeat(trials, RUNGS), "step": np.tile(60 * (np.arange(RUNGS) + 1), n)}
    rise = np.tile(-3 * 0.6 ** np.arange(1, RUNGS + 1), n)
    drawn = ("loss.pixel", "loss.color", "loss.total", "signal.critic_accuracy", "grad_norm", "train_s", "eval_s")
    flat = {"learning_rate": 5e-4, "spared": -1, "cost.parameters": 17_139, "run.host": "darkroom", "images": 60}
    scores = _scores(rng, np.repeat(psnr_db, RUNGS) + rise)
    details = {name: rng.random(many) for name in drawn}
    _save(run / "reports" / f"part-{part:05d}.parquet", reports | scores | details | flat)


def _config(rng: np.random.Generator, configurations: int) -> Columns:
    """Every leaf of the loss_weights sweep; the four in VARIED differ between configurations."""
    fixed: Columns = {f"config.{name}": value for name, value in flatten(SWEEP.config({})).items()}
    return fixed | {f"config.{name}": np.repeat(10 ** rng.uniform(-4, 0, configurations), SEEDS) for name in VARIED}


def _scores(rng: np.random.Generator, psnr_db: np.ndarray) -> Columns:
    """The metrics, all but PSNR derived from it with noise, their spreads, and the untouched input's."""
    scores: Columns = {"metric.psnr_db": psnr_db}
    for name in METRICS[1:]:
        scores[f"metric.{name}"] = 0.04 * psnr_db + rng.normal(0, 0.001, psnr_db.size)
    return scores | {f"spread.{name}": 2.0 for name in METRICS} | {f"untouched.{name}": 18.0 for name in METRICS}


def _where() -> Columns:
    """The columns that say where and with which versions a trial ran."""
    return {"run.run": "run0", "run.code": "c0de", "run.data": "da7a", "run.data_spec": "demo", "run.host": "darkroom",
            "run.teststrip": "0.1.0", "run.torch": "2.15.0", "run.python": "3.11.9", "run.device": "cpu"}  # fmt: skip


def _save(path: Path, columns: Columns) -> None:
    """Write a Parquet file; a value that is not an array is repeated in every row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = max(len(value) for value in columns.values() if isinstance(value, np.ndarray | pd.Index))
    table = pa.table({name: _array(value, rows) for name, value in columns.items()})
    metadata = {VERSION_KEY: VERSION.encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)


def _array(value: Any, rows: int) -> pa.Array:
    """A column in the types that the engine writes: int64, string, and microseconds in UTC."""
    array = pa.array(value) if isinstance(value, np.ndarray | pd.Index) else pa.repeat(value, rows)
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp("us", "UTC"))
    return array.cast({pa.int32(): pa.int64(), pa.large_string(): pa.string()}.get(array.type, array.type))
