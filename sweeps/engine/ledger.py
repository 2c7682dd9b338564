"""The ledger: the Parquet datasets of a run, and the protocol that makes a file, once seen, complete.

    RUN/runs/      one row per invocation of the sweep
    RUN/starts/    one row per trial that was started: what a resumed run must finish
    RUN/reports/   one row per report of a trial at a rung
    RUN/trials/    one row per trial that ended, with its ending and reason
    RUN/costs/     one row per network that was measured on a device
    RUN/samples/   one row per completed trial and picture: its scores, and of a few pictures the output
    RUN/originals/ one row per picture that some sample shows: input and target

Commit: write under a temporary name in the same folder, close, fsync, read back with page checksums, link to the final
name without overwriting, fsync the folder; only then does `commit` return. There is one writer per folder at a time: it
holds RUN/.lock, which the operating system releases with the process, however that ends.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = 1
DATASETS = ("runs", "starts", "reports", "trials", "costs", "samples", "originals")

Row = Mapping[str, Any]

_FLOAT_PREFIXES = ("metric.", "spread.", "loss.", "signal.", "baseline.", "cost.latency_", "cost.baseline_")
_FLOATS = ("time.train_s", "time.eval_s", "time.wall_s", "grad_norm", "learning_rate", "train_s", "eval_s")
_INTS = ("cost.parameters", "cost.macs", "cost.peak_memory_bytes", "images")
_BYTES = ("input", "target", "output")
_ARROW = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), datetime: pa.timestamp("us", "UTC")}


class LedgerBusy(RuntimeError):
    """Another driver holds this folder."""


class Ledger:
    """The one writer of a run's folder. Raises LedgerBusy while another driver holds it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for dataset in DATASETS:
            (root / dataset).mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(root / ".lock")
        self._remove_temporaries()
        # Every invocation's files sort after those of the ones before it, whatever the clocks say.
        self.invocation = 1 + len(list((root / "runs").glob("part-*.parquet")))
        self._writer = uuid.uuid4().hex[:8]
        self._sequence = 0

    def commit(self, dataset: str, rows: Sequence[Row]) -> Path:
        """Make `rows` durable as one new file of `dataset` and return its path.

        Raises OSError where the disk refuses, and RuntimeError where what was read back is not what was written; in
        both cases nothing of it is visible.
        """
        self._sequence += 1
        name = f"part-{self.invocation:05d}-{self._writer}-{self._sequence:07d}.parquet"
        final = self.root / dataset / name
        temporary = final.with_name(f".{name}.tmp")
        table = to_table(rows)
        try:
            with temporary.open("xb") as file:
                # A hundred columns of a row or two: what makes large files small makes these larger and slower. And
                # statistics lie in page headers, which no checksum covers.
                plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
                pq.write_table(table, file, write_page_checksum=True, **plain)
                file.flush()
                os.fsync(file.fileno())
            with pq.ParquetFile(temporary, page_checksum_verification=True) as written:
                read = written.read(use_threads=False)
            if not read.equals(table):
                raise RuntimeError(f"{temporary} does not read back as it was written")
            os.link(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        _fsync_folder(final.parent)
        return final

    def close(self) -> None:
        """Let the next driver have the folder."""
        self._lock.close()

    def _remove_temporaries(self) -> None:
        for dataset in DATASETS:
            for leftover in (self.root / dataset).glob(".*.tmp"):
                leftover.unlink()


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows to a table whose column types follow from names and values; the schema version stands in its metadata."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    fields = [pa.field(name, _type(name, [row.get(name) for row in rows])) for name in names]
    schema = pa.schema(fields, metadata={"teststrip.schema": str(SCHEMA_VERSION)})
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def encode(value: object) -> str:
    """JSON for the few columns that hold a structure (objectives, space)."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _type(name: str, values: Sequence[Any]) -> pa.DataType:
    if name.startswith(_FLOAT_PREFIXES) or name in _FLOATS:
        return pa.float64()
    if name in _INTS:
        return pa.int64()
    if name in _BYTES:
        return pa.binary()
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) != 1 or not kinds <= _ARROW.keys():
        raise TypeError(f"column {name!r} must hold values of one kind, got {sorted(kind.__name__ for kind in kinds)}")
    return _ARROW[kinds.pop()]


def _take_lock(path: Path) -> IO[str]:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise LedgerBusy(
            f"another driver is writing to {path.parent} ({holder}); wait for it, end it, or choose another --out"
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}")
    file.flush()
    return file


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
