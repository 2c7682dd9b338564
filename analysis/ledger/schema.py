"""The schema of a ledger: its datasets, their keys and columns, the type of each column, and the schema version.

Everything that writes or reads a ledger takes its names from here: writer, reader, `fetch`, report.

    RUN/runs/      one row per invocation of the sweep, with what the run recorded about itself (`contract`, JSON)
    RUN/starts/    one row per trial that was started: what a resumed run must finish
    RUN/originals/ one row per picture that some sample shows: input and target
    RUN/samples/   one row per completed trial and picture: its scores, and for a few pictures the output
    RUN/costs/     one row per network that was measured on a device
    RUN/reports/   one row per report of a trial at a rung
    RUN/trials/    one row per trial that ended, with its ending and reason
    RUN/replay/    one row per replay of the run's curves; written by `sweeps.engine.replay`, not by the driver

Prefixes of columns: `config.*` the leaves of a configuration; `metric.*` scores averaged over the validation images,
`spread.*` their standard deviation over these, `untouched.*` the same scores of the unprocessed phone pictures;
`loss.*` and `signal.*` what training reported; `cost.*` the network's costs and the conditions of their measurement;
`time.*` in seconds or as points in time; `run.*` data, code and environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

# --- the version -------------------------------------------------------------------------------------------------

VERSION = "2"
"""The version of newly written files. `version_1.py` says how version 1 differs."""

KNOWN_VERSIONS = ("1", VERSION)
"""The versions that the reader accepts; it upgrades every file to the newest."""

VERSION_KEY = b"teststrip.schema"
"""The metadata of every file carries its schema version under this key."""

PARTS_KEY = b"teststrip.parts"
"""The metadata of a file packed by `fetch --compact` lists the names of its parts under this key, as JSON."""

# --- words with a fixed set of values ----------------------------------------------------------------------------

LOST = ("diverged", "failed", "refused")
ENDINGS = ("completed", "stopped", *LOST)
"""How a trial can end: the values of the column `ending` in `trials`."""

TRAINED = ("completed", "stopped", "diverged")
"""The endings that say something about training; the others do not."""

STAGES = ("search", "confirm")
"""What a trial was for: the search itself, or confirming its best configurations on fresh seeds."""

DIRECTIONS = ("maximize", "minimize")
"""The directions of an objective."""

RANGES: Mapping[str, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "log": ("low", "high"),
    "integer": ("low", "high", "step"),
    "choice": ("values",),
}
"""The kinds of range in the contract's `space`, and the fields of each besides `kind`."""

WHEN = "when"
"""The kind of a conditional space entry: `range` applies if parameter `name` has `value`."""

DESIGNS_AROUND = ("ablation", "one_at_a_time")
"""The kinds of design that vary one part of a `base` at a time."""

DESIGNS_COMBINED = ("factorial", "grid", "fraction")
"""The kinds of design that combine the values of all parameters."""

ADDED_LEAVES: Mapping[str, bool | float | str] = {
    "config.loss.ms_ssim": 0.0,
    "config.train.tf32": False,
    "config.train.cudnn_benchmark": False,
    "config.train.memory_format": "channels_last",
}
"""Leaves that earlier ledgers lack, with the values that their trials were trained with."""

# --- datasets ----------------------------------------------------------------------------------------------------

CONDITIONS = tuple(
    f"cost.{name}"
    for name in ("device", "device_name", "width_px", "height_px", "threads", "dtype", "memory_format", "compiled")
)
"""The conditions of a timing: latencies are comparable only if all of these are equal."""

LATENCY_RATIO = ("cost.latency_ratio", "cost.latency_ratio_low", "cost.latency_ratio_high")
"""The latency relative to the baseline network's, timed alternately, and the ends of its interval."""


@dataclass(frozen=True)
class Dataset:
    """One folder of Parquet files. `key` identifies a row; of several rows with the same key, the first counts.

    Every file has the `key` columns. The `needed` columns must be in some file, not in every one.
    """

    name: str
    key: tuple[str, ...]
    needed: tuple[str, ...]


_DRIVEN = (
    Dataset("runs", ("run",), ("run", "question", "objectives", "started", "run.data_spec")),
    Dataset("starts", ("trial",), ("trial",)),
    Dataset("originals", ("image",), ("image",)),
    Dataset("samples", ("trial", "image"), ("trial", "image")),
    # `cost.failure` is in the key so that a failed measurement does not hide a later one that succeeded.
    Dataset(
        "costs",
        ("network", *CONDITIONS, "cost.failure"),
        ("network", *CONDITIONS, "cost.failure", *LATENCY_RATIO),
    ),
    Dataset("reports", ("trial", "step"), ("trial", "step")),
    Dataset(
        "trials",
        ("trial",),
        ("trial", "stage", "configuration", "seed", "images", "ending", "reason", "steps", "time.ended"),
    ),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _DRIVEN}
"""The datasets that a driver writes, each after those its rows refer to, so that copying in this order is safe."""

REPLAY = Dataset("replay", ("replay", "sampler", "stopping", "rungs", "reduction", "seed"), ("started", "best"))
"""The dataset that replays write and no driver reads."""

TABLES = ("runs", "trials", "reports", "starts", "costs")
"""The datasets that are read as tables of numbers. The others hold pictures."""

# --- types of columns --------------------------------------------------------------------------------------------

_FLOAT_PREFIXES = ("metric.", "spread.", "untouched.", "loss.", "signal.", "cost.latency_", "cost.baseline_")
_FLOATS = ("time.train_s", "time.eval_s", "time.wall_s", "train_s", "eval_s", "step_s",
           "grad_norm", "learning_rate", "best")  # fmt: skip
_INTS = ("cost.parameters", "cost.macs", "cost.peak_memory_bytes", "images", "run.per_device")
_TEXTS = ("run.captured",)
_BYTES = ("input", "target", "output")

TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", "UTC"), pa.null(), pa.binary())
"""All types that a ledger column can have; a file with any other is damaged."""


def column_type(name: str) -> pa.DataType | None:
    """The fixed type of the column `name`; None if its values decide.

    Columns that can be empty in one file and filled in the next have a fixed type, so that the files fit together.
    """
    if name.startswith(_FLOAT_PREFIXES) or name in _FLOATS:
        return pa.float64()
    if name in _INTS:
        return pa.int64()
    if name in _TEXTS:
        return pa.string()
    return pa.binary() if name in _BYTES else None
