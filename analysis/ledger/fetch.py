"""Fetch a ledger: copy the files of a run in a shared folder or an object store that a local folder lacks.

Ledger files never change, so copying the missing ones updates a copy, even while the sweep is running. A row refers
only to rows committed before it: a trial to its reports, a report to its start, a start to its run. So the files of
`trials` are listed first and copied last, and the folder holds a valid ledger at every moment, whatever the sweep
commits meanwhile and wherever the copying is interrupted.

Fetched files are checked like all files that are read (`files.py`), and get their names once they are complete. With
`compact`, the small files (one per commit of the sweep) are packed into a few large ones with the same rows in the same
order. A packed file lists its parts in its metadata, which tells the next fetch what is already there.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.ledger.durable import make_folder, publish_file, remove_temporaries
from analysis.ledger.files import (
    REQUESTS,
    Content,
    Damaged,
    LedgerError,
    is_complete,
    move_aside,
    parse_file,
    read_files,
    skip,
    table_files,
)
from analysis.ledger.load import check_place, earlier_quarantine
from analysis.ledger.location import Location, StorePath, sizes
from analysis.ledger.schema import DATASETS, PARTS_KEY, VERSION, VERSION_KEY

PACK_BYTES = 2**27
"""The most bytes of small files that are packed into one; they are all in memory at once."""

_PACKED = {"compression": "zstd", "write_statistics": False, "write_page_checksum": True}
"""No statistics: no checksum covers them, and a reader that trusted damaged ones would skip rows."""


@dataclass
class Fetched:
    """What a fetch did: files copied per dataset, their size, and how many files were already there or damaged."""

    files: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    there: int = 0
    damaged: int = 0
    notes: list[str] = field(default_factory=list)


Listed = Mapping[Location, int]
"""Files and their sizes in bytes, sorted by name."""


def fetch(run: Location, folder: Path, *, compact: bool = False) -> Fetched:
    """Copy the files of the ledger in `run` that `folder` lacks, without changing `run`.

    A file that is already in `folder` stays as it is, unless it is damaged: then it is put aside and copied again. A
    file that is damaged in `run` is left out, counted and noted. Raises LedgerError if `run` holds no ledger, if
    `folder` holds anything but a copy of it, if another process is writing there, and for an unknown schema version;
    StoreError if the store refuses or does not answer; OSError if `folder` cannot be written.
    """
    check_place(run)
    if isinstance(run, Path) and run.resolve() == folder.resolve():
        raise LedgerError(f"{folder} is the run itself; name another folder")
    # All listings come before any copying, the trials first: whatever a listed row refers to is older, so it is listed
    # too.
    listed = {dataset: _listed(run / dataset) for dataset in reversed(DATASETS)}
    done = Fetched(notes=earlier_quarantine(run))
    # Before `_held`, which creates the folder and a lock in it.
    _check_empty(folder)
    with _held(folder):
        there = {dataset: _there(folder, dataset, listed[dataset], done) for dataset in DATASETS}
        _check_same_run(run, list(listed["runs"]), folder)
        for dataset in DATASETS:
            lacking = {path: size for path, size in listed[dataset].items() if path.name not in there[dataset]}
            done.there += len(listed[dataset]) - len(lacking)
            _copy_missing(lacking, folder / dataset, there[dataset], done, compact)
    return done


def _listed(folder: Location) -> Listed:
    return {path: size for path, size in sizes(folder).items() if is_complete(path.name)}


# --- the folder --------------------------------------------------------------------------------------------------


def _check_empty(folder: Path) -> None:
    """A folder without `runs`, which are copied first, must be empty: it is no copy of any run."""
    if folder.exists() and not folder.is_dir():
        raise LedgerError(f"{folder} is not a folder; name a new one, or an earlier copy of the run")
    if folder.is_dir() and not table_files(folder, "runs"):
        others = sorted({path.name for path in folder.iterdir()} - {"runs", ".lock"})
        if others:
            shown = ", ".join(others[:3]) + (" and more" if len(others) > 3 else "")
            raise LedgerError(
                f"{folder} holds {shown}, and no ledger; name a new folder, or an earlier copy of the run"
            )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder for this process alone, with the lock that drivers use."""
    make_folder(folder)
    # Not "w": the file says which driver holds the folder, and that must survive our attempt.
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerError(f"another process is writing to {folder}; wait for it, or name another folder") from None
        for dataset in DATASETS:
            if (folder / dataset).is_dir():
                remove_temporaries(folder / dataset)
        yield


def _there(folder: Path, dataset: str, listed: Listed, done: Fetched) -> set[str]:
    """The names of the files that need no copying: the intact ones, and those packed into intact ones."""
    expected = {path.name: size for path, size in listed.items()}
    here, key = _listed(folder / dataset), DATASETS[dataset].key
    names: set[str] = set()
    # Each file was verified as a whole when it was copied. The key columns show that it is of this dataset and not cut
    # off.
    for path, found in zip(here, read_files(list(here), key, key), strict=True):
        if isinstance(found, Damaged):
            # A packed file has the name of its last part. Whatever the run does not know by name is not ours to move.
            ours = path.name.replace("-packed.parquet", ".parquet") in expected
            done.notes.append((move_aside if ours else skip)(folder, path, str(found)))
            continue
        if expected.get(path.name, here[path]) != here[path]:
            raise LedgerError(
                f"{path} is intact but has {here[path]} bytes, not the {expected[path.name]} of the run's file of that "
                "name: it belongs to another run; name another folder"
            )
        names |= {path.name, *found.parts}
    return names


def _check_same_run(run: Location, theirs: Sequence[Location], folder: Path) -> None:
    """Raise LedgerError if the folder has invocations that the run does not."""
    known, here = _invocations(theirs), _invocations(table_files(folder, "runs"))
    if not known:
        raise LedgerError(f"{run} has no readable file in {run / 'runs'}")
    if here and not here & known:
        raise LedgerError(f"{folder} holds another run ({min(here)}, not {min(known)}); name another folder")
    if here - known:
        raise LedgerError(
            f"a sweep has continued in {folder}: {run} does not have its invocation {min(here - known)}; name another "
            "folder"
        )


def _invocations(paths: Sequence[Location]) -> set[str]:
    found = read_files(paths, DATASETS["runs"].key, ["run"])
    return {str(name) for own in found if isinstance(own, Content) for name in own.table["run"].to_pylist()}


# --- the files ---------------------------------------------------------------------------------------------------


def _copy_missing(lacking: Listed, folder: Path, there: set[str], done: Fetched, compact: bool) -> None:
    """Copy the files of one dataset in the order of their names, many at a time."""
    # Without `compact`, all files form one group, whose copies run in parallel.
    groups = _groups(lacking) if compact else [list(lacking.items())] if lacking else []
    for group in groups:
        make_folder(folder)
        one_by_one = not compact or len(group) == 1
        work: Callable[[Location, int], Any] = partial(_copy, folder=folder, there=there) if one_by_one else _content
        with ThreadPoolExecutor(REQUESTS) as requests:
            found = list(requests.map(_or_damaged(work), *zip(*group, strict=True)))
        intact = []
        for (path, size), own in zip(group, found, strict=True):
            if isinstance(own, Damaged):
                done.damaged += 1
                done.notes.append(f"{path} is unreadable ({own}) and was not fetched")
            # From `_copy`: `run` is itself a packed copy, and the parts are already here.
            elif own is False:
                done.there += 1
            else:
                intact.append((path, own))
                done.files[folder.name] = done.files.get(folder.name, 0) + 1
                done.size_bytes += size
        if intact and not one_by_one:
            _pack(intact, folder)


def _groups(lacking: Listed) -> Iterator[list[tuple[Location, int]]]:
    """Split the files into consecutive groups of up to PACK_BYTES, each to be packed into one."""
    group: list[tuple[Location, int]] = []
    for path, size in lacking.items():
        if group and sum(known for _, known in group) + size > PACK_BYTES:
            yield group
            group = []
        group.append((path, size))
    if group:
        yield group


def _or_damaged(work: Callable[[Location, int], Any]) -> Callable[[Location, int], Any]:
    def call(path: Location, size: int) -> Any:
        try:
            return work(path, size)
        except Damaged as damage:
            return damage

    return call


def _bytes(path: Location, size: int) -> pa.Buffer:
    try:
        data = path.read() if isinstance(path, StorePath) else pa.py_buffer(path.read_bytes())
    except FileNotFoundError as error:
        raise LedgerError(f"{path} is gone: it was put aside, or the run was removed; fetch again") from error
    if data.size != size:
        raise Damaged(f"it has {data.size} bytes, not the {size} it was listed with")
    return data


def _content(path: Location, size: int) -> Content:
    return parse_file(path, _bytes(path, size), DATASETS[path.parent.name].key)


def _copy(path: Location, size: int, *, folder: Path, there: set[str]) -> bool:
    """Copy one file; False if it is a packed one whose parts are all there already."""
    data = _bytes(path, size)
    parts = parse_file(path, data, DATASETS[folder.name].key).parts
    if parts and there.issuperset(parts):
        return False
    with publish_file(folder / path.name) as temporary:
        temporary.write_bytes(data)
        if temporary.read_bytes() != data:
            raise OSError(f"{temporary} does not read back as it was written")
    return True


def _pack(intact: Sequence[tuple[Location, Content]], folder: Path) -> None:
    """Pack several files into one, named after the last of them so that later files of the run sort after it."""
    try:
        table = pa.concat_tables([own.table for _, own in intact], promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise LedgerError(f"the files of {intact[0][0].parent} do not fit together: {error}") from error
    # A packed file may be packed again; the names of its own parts stay known.
    parts = [name for path, own in intact for name in (path.name, *own.parts)]
    metadata = {VERSION_KEY: VERSION.encode(), PARTS_KEY: json.dumps(parts).encode()}
    final = folder / f"{intact[-1][0].name.removesuffix('.parquet')}-packed.parquet"
    with publish_file(final) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, **_PACKED)
        if not parse_file(final, temporary, DATASETS[folder.name].key).table.equals(table):
            raise OSError(f"{temporary} does not read back as it was written")
