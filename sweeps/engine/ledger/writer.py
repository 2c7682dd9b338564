"""The ledger's writer, and the protocol which ensures that every visible file is complete. `schema.py` has the schema.

To commit in a folder: write a temporary file beside the final one, close it, read it back with page checksums, fsync,
link it to its final name without overwriting, and fsync the folder; only then does `commit` return. In an object store:
check the bytes with page checksums, upload them in one request, read them back and compare. File names contain a random
writer ID, so nothing is overwritten there either. A run has one writer at a time (`lock.py`), except for RUN/replay,
which no driver reads.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.ledger.durable import make_folder, publish_file, remove_temporaries
from analysis.ledger.location import Location, StorePath, files
from analysis.ledger.schema import DATASETS, VERSION, VERSION_KEY, column_type
from sweeps.engine.ledger.folders import commit_bytes, commit_folder, remove_unfinished
from sweeps.engine.ledger.lock import LedgerBusy, LedgerLost, hold

__all__ = [
    "Ledger",
    "LedgerBusy",
    "LedgerLost",
    "Row",
    "check_writable",
    "commit_file",
    "encode",
    "to_table",
]

Row = Mapping[str, Any]

FOLDERS = ("weights", "states")
"""The folders of a run that hold other files than tables."""

_ARROW = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), datetime: pa.timestamp("us", "UTC")}

# A file has a hundred columns and a row or two: compression and dictionaries would make it larger and slower. No
# statistics, because they are stored in page headers, which no checksum covers.
_PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}


class Ledger:
    """The only writer of a run. As a context manager it releases the run at the end of the block."""

    def __init__(self, root: Location, notice: Callable[[str], None] = lambda sentence: None) -> None:
        """Lock the run at `root`. Raises LedgerBusy while another driver holds it, StoreError if the store refuses.

        `notice` receives a sentence if it takes a while to find out whether another driver is alive.
        """
        self.root = root
        # Before the lock, which is a file in the folder. A store needs no folders: they are prefixes of names.
        if isinstance(root, Path):
            make_folder(root, *DATASETS)
        self._hold = hold(root, notice)
        # After the lock: until we hold it, a temporary may belong to a living writer, and others may add to `runs`.
        self._remove_temporaries()
        # The number makes the files of each invocation sort after all earlier ones, whatever the clocks say.
        self.invocation = 1 + max((_invocation(path.name) for path in files(root / "runs")), default=0)
        # In a store, the late commit of a driver that has been replaced may carry the same two numbers as one of ours.
        self._writer = uuid.uuid4().hex[:8]
        self._sequence = 0
        self._schemas: dict[str, pa.Schema] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def promise_columns(self, full_rows: Mapping[str, Row]) -> None:
        """Give every later file of a dataset all columns of its row in `full_rows`, null where nothing fills them.

        The values of these rows are not written; they show the type of each column.
        """
        self._schemas = {dataset: to_table([row]).schema for dataset, row in full_rows.items()}

    def commit(self, dataset: str, rows: Sequence[Row]) -> Location:
        """Write `rows` durably as one new file of `dataset` and return its location.

        Raises OSError if the disk or the store refuses, LedgerLost if another driver has taken over the run, and
        RuntimeError if the file does not read back as written; in each case nothing becomes visible. The exception is
        a store that stops responding: the complete file may be there, as if the driver had been killed right after.
        """
        self._hold.check()
        # Even a commit that fails uses its number up: in a store, its file may still appear.
        self._sequence += 1
        final = self.root / dataset / f"part-{self.invocation:05d}-{self._writer}-{self._sequence:07d}.parquet"
        try:
            commit_file(rows, final, self._schemas.get(dataset))
        except OSError as error:
            # pyarrow's errors do not name the file; a store's are sentences that do. An error without an errno is left
            # alone: given a file name, Python would print that in place of the message.
            if error.errno is not None and error.filename is None and isinstance(final, Path):
                error.filename = str(final)
            raise
        return final

    def commit_folder(self, inside: str, name: str, files: Mapping[str, bytes], mark: str) -> Location:
        """Write `files` by name as the folder `name` in the run's folder `inside`, and return its location.

        All of them become visible, or none; `mark` is the one without which a reader takes none for real. Raises as
        `commit` does.
        """
        self._hold.check()
        final = self.root / inside / name
        commit_folder(files, final, mark)
        return final

    def commit_bytes(self, inside: str, name: str, content: bytes) -> Location:
        """Write the file `name` in the run's folder `inside`, in place of one of that name. Raises as `commit` does."""
        self._hold.check()
        final = self.root / inside / name
        commit_bytes(content, final)
        return final

    def remove(self, path: Location) -> None:
        """Remove a file of the run, which holds no rows. Raises OSError."""
        self._hold.check()
        if isinstance(path, StorePath):
            path.remove()
        else:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the run for the next driver. May be called more than once."""
        # The driver calls it before it stops Ray, and the end of its `with` block calls it again.
        self._hold.release()

    def _remove_temporaries(self) -> None:
        if isinstance(self.root, Path):
            for dataset in DATASETS:
                remove_temporaries(self.root / dataset)
            for folder in FOLDERS:
                remove_unfinished(self.root / folder)


def check_writable(root: Location) -> None:
    """Raise StoreError unless we may list, write and delete in the store. A folder fails early enough by itself."""
    if isinstance(root, StorePath):
        root.check()
        # A name of its own, so that two drivers do not delete each other's probe.
        probe = root / f".probe-{uuid.uuid4().hex}"
        probe.write(b"may this be written?")
        probe.remove()


def commit_file(rows: Sequence[Row], final: Location, promised: pa.Schema | None = None) -> None:
    """Write `rows` durably as the new file `final`, in an existing folder or in a store; `promised` as in `to_table`.

    Raises OSError if the disk or the store refuses (FileExistsError if a folder already has the file), and RuntimeError
    if the file does not read back as written; in each case nothing becomes visible.
    """
    table = to_table(rows, promised)
    if isinstance(final, StorePath):
        _put(table, final)
    else:
        _link(table, final)


def _link(table: pa.Table, final: Path) -> None:
    """Write the file into a folder."""
    with publish_file(final) as temporary:
        pq.write_table(table, temporary, **_PLAIN)
        _check_reads_back(table, temporary, temporary)


def _put(table: pa.Table, final: StorePath) -> None:
    """Upload the object to a store."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **_PLAIN)
    content = sink.getvalue()
    # Check before the upload: an object has no temporary name, and readers see it at once.
    _check_reads_back(table, pa.BufferReader(content), final)
    final.write(content)
    if not final.read().equals(content):
        final.remove()
        raise RuntimeError(f"{final} does not read back as it was written")


def _check_reads_back(table: pa.Table, source: Any, name: Location) -> None:
    with pq.ParquetFile(source, page_checksum_verification=True) as written:
        # Without threads: a row of a hundred columns is read in 0.8 ms by one thread, and in 8 ms by many.
        read = written.read(use_threads=False)
    if not read.equals(table):
        raise RuntimeError(f"{name} does not read back as it was written")


def _invocation(name: str) -> int:
    """The number of the invocation that wrote the file, 0 for a name of another form."""
    number = name.split("-")[1] if name.startswith("part-") else ""
    return int(number) if number.isdecimal() else 0


def to_table(rows: Sequence[Row], promised: pa.Schema | None = None) -> pa.Table:
    """A table of `rows`, its column types chosen by name and value, with the schema version in its metadata.

    It has the `promised` columns, null where no row fills them, and after them any others that the rows have. Raises
    TypeError if such another column has no values, or values of several kinds.
    """
    # A promised schema was made here too, so it already carries the version.
    schema = pa.schema([], metadata={VERSION_KEY: VERSION.encode()}) if promised is None else promised
    known = set(schema.names)
    # `dict.fromkeys`, not a set: the columns keep the order in which the rows name them.
    for name in dict.fromkeys(name for row in rows for name in row if name not in known):
        schema = schema.append(pa.field(name, _type(name, [row.get(name) for row in rows])))
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def encode(value: object) -> str:
    """The JSON of a structured value, for the few columns that hold one (objectives, contract)."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _type(name: str, values: Sequence[Any]) -> pa.DataType:
    if (promised := column_type(name)) is not None:
        return promised
    kinds = {type(value) for value in values if value is not None}
    # Not left to pyarrow: it would type an empty column as null, and turn an int beside floats into a float.
    if len(kinds) != 1 or not kinds <= _ARROW.keys():
        raise TypeError(f"column {name!r} must hold values of one kind, not {sorted(kind.__name__ for kind in kinds)}")
    return _ARROW[kinds.pop()]
