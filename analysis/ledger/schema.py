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
"""What the writer writes. Version 1 differs as `version_1.py` says."""

KNOWN_VERSIONS = ("1", VERSION)
"""What the reader reads: it shows every file as the newest version would have it."""

VERSION_KEY = b"teststrip.schema"
"""The metadata of every file carries its schema version under this key."""

PARTS_KEY = b"teststrip.parts"
"""The metadata of a file packed by `fetch --compact` lists the names of its parts under this key, as JSON."""

# --- words with a fixed set of values ----------------------------------------------------------------------------

LOST = ("diverged", "failed", "refused")
ENDINGS = ("completed", "stopped", *LOST)
"""How a trial can end: the column `ending` of `trials`."""

STAGES = ("search", "confirm")
"""What a trial was for: the search itself, or the confirmation of its best on fresh seeds."""

DIRECTIONS = ("maximize", "minimize")
"""Which way an objective is to go."""

RANGES: Mapping[str, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "log": ("low", "high"),
    "integer": ("low", "high", "step"),
    "choice": ("values",),
}
"""The kinds of range in the contract's `space`, and what each holds beside its `kind`."""

WHEN = "when"
"""The kind of a space entry that holds under a condition: `range` applies where parameter `name` has `value`."""

DESIGNS_AROUND = ("ablation", "one_at_a_time")
"""The kinds of design that vary one part of a `base` at a time."""

DESIGNS_COMBINED = ("factorial", "grid", "fraction")
"""The kinds of design that combine the values of all parameters."""

# --- datasets ----------------------------------------------------------------------------------------------------

CONDITIONS = tuple(
    f"cost.{name}"
    for name in ("device", "device_name", "width_px", "height_px", "threads", "dtype", "memory_format", "compiled")
)
"""Under what a network was timed: latencies are comparable only where all of these are equal."""

LATENCY_RATIO = ("cost.latency_ratio", "cost.latency_ratio_low", "cost.latency_ratio_high")
"""The latency in units of the baseline network's, timed in turns with it, and the ends of its interval."""


@dataclass(frozen=True)
class Dataset:
    """One folder of Parquet files. `key` tells rows apart, and of rows that share one the first counts.

    Every file has the columns of the key; all files together have those of `needed`.
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
"""What the driver writes, each dataset after those that its rows refer to: a copy made in this order is a ledger."""

REPLAY = Dataset("replay", ("replay", "sampler", "stopping", "rungs", "reduction", "seed"), ("started", "best"))
"""What replays write; no driver reads it."""

TABLES = ("runs", "trials", "reports", "starts", "costs")
"""The datasets that are read as tables of numbers. The others hold pictures."""

# --- types of columns --------------------------------------------------------------------------------------------

_FLOAT_PREFIXES = ("metric.", "spread.", "untouched.", "loss.", "signal.", "cost.latency_", "cost.baseline_")
_FLOATS = ("time.train_s", "time.eval_s", "time.wall_s", "train_s", "eval_s", "step_s",
           "grad_norm", "learning_rate", "best")  # fmt: skip
_INTS = ("cost.parameters", "cost.macs", "cost.peak_memory_bytes", "images")
_BYTES = ("input", "target", "output")

TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", "UTC"), pa.null(), pa.binary())
"""Every type that a column of a ledger can have; a file with another one is damaged."""


def column_type(name: str) -> pa.DataType | None:
    """The type of the column `name`, whatever its values; None where the values decide.

    Columns that may be empty in one file and not in the next have a type of their own, so that the files fit together.
    """
    if name.startswith(_FLOAT_PREFIXES) or name in _FLOATS:
        return pa.float64()
    if name in _INTS:
        return pa.int64()
    return pa.binary() if name in _BYTES else None
