"""Read one table of a ledger from its Parquet files: complete files are read, damaged and foreign ones reported.

Readers move nothing. Only the driver that holds the run puts damaged files aside, so that other Parquet readers do not
fail on them; a file without the ledger's mark is not ours and stays where it is.

A run is in a folder or in an object store (`location.py`). Objects in a store are downloaded whole, many at a time: an
error while downloading is the store's, an error after that is damage.

Page checksums cover only the values. The footer has no checksum, and one flipped bit in it can rename a column or
shorten a file without any error, so the footer is compared with the copy of the schema that pyarrow keeps in the file.
"""

import base64
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.ledger import version_1
from analysis.ledger.location import Location, StoreError, StorePath, files, move
from analysis.ledger.schema import KNOWN_VERSIONS, PARTS_KEY, TYPES, VERSION_KEY

QUARANTINE = "_quarantine"

REQUESTS = 16
"""How many objects are requested at once: a response takes 10 to 100 ms however small the object is."""

WHOLE_BYTES = 2**20
"""Files up to this size are read whole, whichever columns are asked for."""

# What pyarrow raises on damaged bytes; a damaged length, for one, asks for more memory than there is. An OSError with
# an errno comes from the file system and is not damage.
_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError, ValueError)


class LedgerError(ValueError):
    """A ledger that cannot be analyzed; `notes` says what was left out before the error."""

    def __init__(self, message: str, notes: Sequence[str] = ()) -> None:
        self.notes = tuple(notes)
        super().__init__(message)


class Damaged(ValueError):
    """A file whose bytes are not the ones that were written."""


class Content(NamedTuple):
    """The columns read from a file, the schema of the whole file, and the names of the files packed into it."""

    table: pa.Table
    schema: pa.Schema
    parts: tuple[str, ...] = ()


def is_complete(name: str) -> bool:
    """Whether this is the name of a finished ledger file, not of a writer's temporary."""
    return name.endswith(".parquet") and not name.startswith(".")


def table_files(run: Location, name: str) -> list[Location]:
    """The complete files of one table, sorted by name, without temporaries. Raises StoreError."""
    return [path for path in files(run / name) if is_complete(path.name)]


def read_table(
    run: Location,
    name: str,
    key: Sequence[str],
    each: Callable[[pa.Table], pa.Table] = lambda table: table,
    refuse: Callable[[Location, Location, str], str] | None = None,
) -> tuple[pa.Table | None, list[str]]:
    """All readable rows of table `name`, in the order of the file names, and a note for each file left out.

    Columns are merged by name and null where a file lacks them. Returns None if no file is readable. `each` may reduce
    the table of one file before the next is read, to save memory: pictures are large. `refuse` handles a damaged file:
    `skip` (None), or `put_aside` for the driver that holds the run.
    Raises LedgerError for an unknown schema version, for a file that the system or the store refuses to read, and for
    columns whose types cannot be merged.
    """
    tables: list[pa.Table] = []
    notes: list[str] = []
    try:
        paths = table_files(run, name)
        for path, found in zip(paths, read_files(paths, key), strict=True):
            if isinstance(found, Damaged):
                notes.append((refuse or skip)(run, path, str(found)))
            else:
                tables.append(each(found.table))
    except (LedgerError, StoreError) as error:
        raise LedgerError(str(error), notes) from error
    if not tables:
        return None, notes
    try:
        # Permissive, since a column that is empty in one file has the type null there.
        return pa.concat_tables(tables, promote_options="permissive"), notes
    except pa.ArrowException as error:
        raise LedgerError(f"the files of {run / name} do not fit together: {_first_line(error)}", notes) from error


def read_files(
    paths: Sequence[Location], key: Sequence[str], columns: Sequence[str] | None = None
) -> Iterator[Content | Damaged]:
    """The content of each file, or what is wrong with it, in order.

    Only `columns` (None: all) are read from large files. Files up to WHOLE_BYTES are read whole, since opening one
    costs more than reading it. Checksums are verified for what is read; damage elsewhere goes unseen and does no harm.
    Raises LedgerError and StoreError as `read_table` does.
    """

    def content(path: Location) -> Content | Damaged:
        try:
            return parse_file(path, path.read() if isinstance(path, StorePath) else path, key, columns)
        except Damaged as damage:
            return damage

    # Threads hide the response time of a store; local files have none.
    if not any(isinstance(path, StorePath) for path in paths):
        yield from map(content, paths)
        return
    with ThreadPoolExecutor(REQUESTS) as requests:
        yield from requests.map(content, paths)


def parse_file(
    path: Location, data: Path | pa.Buffer, key: Sequence[str], columns: Sequence[str] | None = None
) -> Content:
    """Parse the ledger file at `path`; `data` is its bytes, or the local file to read them from.

    Raises Damaged, and LedgerError as `read_table` does.
    """
    source = pa.BufferReader(data) if isinstance(data, pa.Buffer) else data
    try:
        size = data.size if isinstance(data, pa.Buffer) else data.stat().st_size
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            # Kept, since pyarrow builds it again on every access.
            schema = file.schema_arrow
            # Before any value is read: pyarrow may crash on a damaged footer.
            _check_footer(file, schema, key)
            version = _check_version(path, schema)
            names = None if size <= WHOLE_BYTES or columns is None else _stored_names(version, columns)
            # Starting threads takes longer than reading a file of one row and a hundred columns.
            table = file.read(columns=names, use_threads=False)
            if table.num_rows != file.metadata.num_rows:
                raise Damaged("it does not have the number of rows that was written")
            parts = json.loads((schema.metadata or {}).get(PARTS_KEY, b"[]"))
            table, schema = table.replace_schema_metadata(None), schema.remove_metadata()
            if version == "1":
                table, schema = version_1.upgrade_table(table), version_1.upgrade_schema(schema)
            return Content(table, schema, tuple(parts))
    # Both are ValueErrors, which count as damage below.
    except (LedgerError, Damaged):
        raise
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise LedgerError(f"{path} could not be read: {os.strerror(error.errno)}") from error
        raise Damaged(_first_line(error)) from error


def _check_footer(file: pq.ParquetFile, schema: pa.Schema, key: Sequence[str]) -> None:
    """Raise Damaged for column names and types that were not written: pyarrow may crash on them instead of raising."""
    stored = (file.metadata.metadata or {}).get(b"ARROW:schema")
    if stored is None:
        raise Damaged("it lacks the schema that pyarrow writes")
    written = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(stored)))
    # The footer describes the columns twice, for Parquet and for Arrow; a flipped bit changes only one of the two.
    if not written.equals(schema):
        raise Damaged("its columns are not the ones that were written")
    strange = [f"{field.name} ({field.type})" for field in written if field.type not in TYPES]
    if strange:
        raise Damaged(f"a ledger never has a column like {strange[0]!a}")
    missing = [column for column in key if column not in written.names]
    if missing:
        raise Damaged(f"it has no column {', '.join(missing)}")


def _stored_names(version: str, columns: Sequence[str]) -> list[str]:
    """The names that a file of this version has for the newest version's columns."""
    return [version_1.column_before(name) for name in columns] if version == "1" else list(columns)


def _check_version(path: Location, schema: pa.Schema) -> str:
    """The schema version, one of KNOWN_VERSIONS. A file without one is damaged; an unknown one ends the analysis."""
    version = (schema.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise Damaged(f"it has no {VERSION_KEY.decode()} version, so it is not a ledger file")
    text: str = version.decode(errors="replace")
    if text not in KNOWN_VERSIONS:
        known = ", ".join(KNOWN_VERSIONS)
        raise LedgerError(f"{path} has ledger schema version {text!r}; this reader knows {known}")
    return text


def skip(_: Location, path: Location, reason: str) -> str:
    """Leave a damaged or foreign file where it is. Returns a sentence that says so."""
    return f"{path.parent.name}/{path.name} is unreadable ({reason}) and was skipped"


def put_aside(run: Location, path: Location, reason: str) -> str:
    """Move a damaged file that bears the ledger's mark to the quarantine; skip any other.

    Only for the driver that holds the run. Returns a sentence that says what happened to the file.
    """
    # The mark is searched for in the bytes: a file this damaged may not open as Parquet.
    held = path.read().to_pybytes() if isinstance(path, StorePath) else path.read_bytes()
    return move_aside(run, path, reason) if VERSION_KEY in held else skip(run, path, reason)


def move_aside(run: Location, path: Location, reason: str) -> str:
    """Move a damaged file to the quarantine if that is allowed. Returns a sentence that says what happened to it."""
    where = f"{path.parent.name}/{path.name}"
    folder = run / QUARANTINE
    try:
        target = _free_name(folder, f"{path.parent.name}-{path.name}")
        move(path, target)
    except OSError as error:
        why = error.strerror or error
        return f"{where} is unreadable ({reason}) and was skipped; it could not be moved: {why}"
    return f"{where} is unreadable ({reason}) and was put aside as {folder.name}/{target.name}"


def _free_name(folder: Location, name: str) -> Location:
    taken = {path.name for path in files(folder)}
    numbered = (f"{name}.{number}" for number in itertools.count(2))
    return folder / next(free for free in itertools.chain([name], numbered) if free not in taken)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
