"""A packed store that another machine has made, in this machine's cache: found there, or written from its chunks."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from enhance.data.storage.cache import cache_folder, clear_words_for_the_folder, locked
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import PatchStore
from enhance.data.storage.store_writer import remove_temporaries

CHUNK_BYTES = 32 << 20
"""What is sent at a time: a machine holds one chunk in memory, however large its store is."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.patches")


@dataclass(frozen=True)
class StoreTransfer:
    """A store as it is announced to other machines: where its maker has it, what is in it, and how large it is."""

    path: Path
    fingerprint: str
    size_bytes: int

    @classmethod
    def of(cls, store: PatchStore) -> "StoreTransfer":
        """The announcement of an opened store."""
        return cls(store.path, store.fingerprint, store.path.stat().st_size)

    @property
    def chunks(self) -> int:
        """How many chunks it is sent in."""
        return -(-self.size_bytes // CHUNK_BYTES)

    def chunk(self, index: int) -> bytes:
        """Chunk `index` from 0 on, read on the machine that has the file."""
        with self.path.open("rb") as file:
            file.seek(index * CHUNK_BYTES)
            return file.read(CHUNK_BYTES)


def open_delivered(
    transfer: StoreTransfer, fetch: Callable[[int], bytes], *, cache: Path | None = None, verify: bool = False
) -> PatchStore:
    """The store on this machine: where its maker has it, if that is seen here, else from the cache, else fetched.

    `fetch` gives a chunk by its index. What was fetched is verified before it gets its name; `verify` does so with what
    the cache has, too. Any number of processes may call this at once: one fetches, the others wait for it. Raises
    DataError where the store cannot be had, with a message for the user.
    """
    shared = _same(transfer.path, transfer, verify=False)
    if shared is not None:
        return shared
    if not _NAME.fullmatch(transfer.path.name):
        raise DataError(f"{transfer.path.name!r} is no name of packed data")
    folder = cache_folder(cache)
    path = folder / transfer.path.name
    with clear_words_for_the_folder(folder):
        found = _same(path, transfer, verify)
        if found is None:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(path.with_name(f".{path.name}.lock"), lambda sentence: None):
                # Another process may have fetched it while this one waited.
                found = _same(path, transfer, verify) or _fetched(path, transfer, fetch)
    return found


def _same(path: Path, transfer: StoreTransfer, verify: bool) -> PatchStore | None:
    """The store at `path` if it is whole and the one announced."""
    try:
        store = PatchStore.open(path, verify=verify)
    except DataError:
        return None
    return store if store.fingerprint == transfer.fingerprint else None


def _fetched(path: Path, transfer: StoreTransfer, fetch: Callable[[int], bytes]) -> PatchStore:
    remove_temporaries(path)
    free = shutil.disk_usage(path.parent).free
    if free < transfer.size_bytes:
        need = f"{transfer.size_bytes >> 20:,} MiB are needed and {free >> 20:,} MiB are free"
        raise DataError(f"cannot keep packed data in {path.parent}: {need}; name another folder in TESTSTRIP_CACHE")
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, (fetch(index) for index in range(transfer.chunks)))
        store = PatchStore.open(temporary, verify=True)
        if store.fingerprint != transfer.fingerprint:
            raise DataError(f"what was sent as {path.name} holds other data ({store.fingerprint})")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return PatchStore.open(path)


def _write(path: Path, chunks: Iterable[bytes] | Iterator[bytes]) -> None:
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
