"""Getting a store that another machine has packed: open it in place, find it in the cache, or fetch it in chunks."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from enhance.data.storage.cache import cache_folder, exclusive_lock, explain_folder_errors
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import PatchStore
from enhance.data.storage.store_writer import remove_temporaries

CHUNK_BYTES = 32 << 20
"""The size of one message: a machine holds one chunk in memory, however large the store is."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.patches")


@dataclass(frozen=True)
class StoreTransfer:
    """A store as announced to other machines: its path where it was packed, its fingerprint and its size."""

    path: Path
    fingerprint: str
    size_bytes: int

    @classmethod
    def of(cls, store: PatchStore) -> "StoreTransfer":
        """The announcement of an open store."""
        return cls(store.path, store.fingerprint, store.path.stat().st_size)

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        return -(-self.size_bytes // CHUNK_BYTES)

    def chunk(self, index: int) -> bytes:
        """Read chunk `index`, counted from 0, on the machine that has the file."""
        with self.path.open("rb") as file:
            file.seek(index * CHUNK_BYTES)
            return file.read(CHUNK_BYTES)


def open_delivered(
    transfer: StoreTransfer, fetch: Callable[[int], bytes], *, cache: Path | None = None, verify: bool = False
) -> PatchStore:
    """Open the store on this machine: at its original path if that is shared, else from the cache, else fetched.

    `fetch` returns a chunk by index. A fetched store is verified before it gets its final name; with `verify`, one
    found in the cache is verified too. Any number of processes may call this at once: one fetches, the others wait.
    Raises DataError with a message for the user if the store is not available.
    """
    # Not verified again: the machine that packed it has done so.
    shared = _same(transfer.path, transfer, verify=False)
    if shared is not None:
        return shared
    if not _NAME.fullmatch(transfer.path.name):  # the name comes from another machine and becomes a path here
        raise DataError(f"{transfer.path.name!r} is not a name of packed data")
    folder = cache_folder(cache)
    path = folder / transfer.path.name
    with explain_folder_errors(folder):
        found = _same(path, transfer, verify)
        if found is None:
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(path.with_name(f".{path.name}.lock"), lambda sentence: None):
                # Another process may have fetched it while this one was waiting.
                found = _same(path, transfer, verify) or _fetch(path, transfer, fetch)
    return found


def _same(path: Path, transfer: StoreTransfer, verify: bool) -> PatchStore | None:
    """The store at `path`, if it is intact and the announced one."""
    try:
        store = PatchStore.open(path, verify=verify)
    except DataError:
        return None
    return store if store.fingerprint == transfer.fingerprint else None


def _fetch(path: Path, transfer: StoreTransfer, fetch: Callable[[int], bytes]) -> PatchStore:
    remove_temporaries(path)
    free = shutil.disk_usage(path.parent).free
    if free < transfer.size_bytes:
        need = f"{transfer.size_bytes >> 20:,} MiB are needed, {free >> 20:,} MiB are free"
        raise DataError(f"cannot keep packed data in {path.parent}: {need}; set TESTSTRIP_CACHE to another folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, (fetch(index) for index in range(transfer.chunks)))
        store = PatchStore.open(temporary, verify=True)
        if store.fingerprint != transfer.fingerprint:
            raise DataError(f"the file received as {path.name} has other data ({store.fingerprint})")
        # Not linked like a packed store: a damaged file may stand in the way, and this one is known to be whole. Nor is
        # the folder synced: a name that a crash loses is fetched again.
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    # Reopened under its final name: a store holds its path, and pickles as it.
    return PatchStore.open(path)


def _write(path: Path, chunks: Iterable[bytes] | Iterator[bytes]) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
