"""The cache of packed stores: how one is found again, and who may write it.

A store's file name contains a key derived from everything that determines its pixels: the source's files or parameters,
the code that prepares them, and the version of the store. A changed source or simulator therefore gets a new file.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from enhance.data.storage.errors import DataError
from enhance.data.storage.store import VERSION, PatchStore, StoreError
from enhance.data.storage.store_writer import StoreWriter, remove_temporaries, write_store
from enhance.system.source_digest import source_digest

Progress = Callable[[str], None]

PACKAGE = Path(__file__).parents[1]  # enhance/data


class Source(Protocol):
    """Something to make patches from."""

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""

    @property
    def spec(self) -> str:
        """The text that names the source, with absolute folders."""

    def identity(self) -> Mapping[str, object]:
        """Everything that determines the pixels, in JSON types."""

    def pack(self, writer: StoreWriter, progress: Progress) -> dict[str, Any]:
        """Add every patch to `writer`, and return the summary."""


def cache_folder(cache: Path | None) -> Path:
    """`cache` if given, else $TESTSTRIP_CACHE, else ~/.cache/teststrip."""
    named = cache or os.environ.get("TESTSTRIP_CACHE") or "~/.cache/teststrip"
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError:
        raise DataError(f"the home folder of {named} cannot be found; set TESTSTRIP_CACHE to another folder") from None


@functools.cache
def code_digest(*files: str) -> str:
    """A digest of source files, relative to `enhance/data`, that ignores comments: editing those repacks nothing."""
    return source_digest(PACKAGE, [PACKAGE / file for file in files])


def open_or_pack(source: Source, cache: Path | None, progress: Progress) -> PatchStore:
    """Open and verify the store of `source`; pack it first if there is none or it is damaged.

    Any number of processes may call this at once: one packs, the others wait. The kernel releases the lock when its
    process dies, so a killed process blocks no other.
    """
    folder = cache_folder(cache)
    key = _key(source)
    path = folder / f"{source.name}-{key}.patches"
    with explain_folder_errors(folder):
        store = _open_whole(path)
        if store is None:
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(path.with_name(f".{path.name}.lock"), progress):
                # Another process may have packed it while this one was waiting.
                store = _open_whole(path) or _pack(source, key, path, progress)
    return store


def _pack(source: Source, key: str, path: Path, progress: Progress) -> PatchStore:
    if path.exists():
        aside = path.with_suffix(".damaged")
        os.replace(path, aside)
        progress(f"{path} is damaged: keeping it as {aside.name} and packing again")
    remove_temporaries(path)

    def pack(writer: StoreWriter) -> dict[str, Any]:
        summary = source.pack(writer, progress)
        if _key(source) != key:  # the store would bear the name of data that it does not contain
            raise DataError(f"{source.spec} changed while it was being read; start again when nothing writes to it")
        return summary

    write_store(path, source.spec, pack)
    return PatchStore.open(path)  # `write_store` has just verified it


def _key(source: Source) -> str:
    identity = {"spec": source.spec, "store": VERSION, **source.identity()}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _open_whole(path: Path) -> PatchStore | None:
    if not path.exists():
        return None
    try:
        return PatchStore.open(path, verify=True)
    except StoreError:
        return None


@contextlib.contextmanager
def exclusive_lock(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file at `path`, waiting for it if necessary."""
    # The file stays behind: if it were removed, one process could lock the old file and another a new one of its name.
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that packs the same data")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def explain_folder_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError into a DataError that names the cache folder and what to do about it."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot keep packed data in {folder}: {error.strerror or error}; set TESTSTRIP_CACHE to another folder"
        ) from error
