"""Where packed stores are kept, how one is found again, and who may write it.

A store's file name holds a key made of everything that decides its pixels: the source's files or parameters, the code
that prepares them, the version of the store. A changed source or simulator therefore gets a new file.
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
    """Something that patches are made from."""

    @property
    def name(self) -> str:
        """A short word for the file name."""

    @property
    def spec(self) -> str:
        """The text that names the source, with folders absolute."""

    def identity(self) -> Mapping[str, object]:
        """Everything that decides the pixels, in JSON types."""

    def pack(self, writer: StoreWriter, progress: Progress) -> dict[str, Any]:
        """Adds every patch to `writer` and returns the summary."""


def cache_folder(cache: Path | None) -> Path:
    """`cache`, else the folder that TESTSTRIP_CACHE names, else ~/.cache/teststrip."""
    named = cache or os.environ.get("TESTSTRIP_CACHE") or "~/.cache/teststrip"
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError:
        raise DataError(f"cannot find the home folder of {named}; name a folder in TESTSTRIP_CACHE") from None


@functools.cache
def code_digest(*files: str) -> str:
    """A digest of what source files of `enhance/data`, named from there, do; mending their comments repacks nothing."""
    return source_digest(PACKAGE, [PACKAGE / file for file in files])


def open_prepared(source: Source, cache: Path | None, progress: Progress) -> PatchStore:
    """The store of `source`, verified; packed first where there is none, or only a damaged one.

    Any number of processes may call this at once: one packs, the others wait for it. The lock is the kernel's and
    dies with its process, so a killed one blocks nobody.
    """
    folder = cache_folder(cache)
    key = _key(source)
    path = folder / f"{source.name}-{key}.patches"
    with clear_words_for_the_folder(folder):
        store = _open_whole(path)
        if store is None:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(path.with_name(f".{path.name}.lock"), progress):
                # Another process may have packed it while this one waited.
                store = _open_whole(path) or _pack(source, key, path, progress)
    return store


def _pack(source: Source, key: str, path: Path, progress: Progress) -> PatchStore:
    if path.exists():
        aside = path.with_suffix(".damaged")
        os.replace(path, aside)
        progress(f"{path} is damaged: put aside as {aside.name}, and packed again")
    remove_temporaries(path)

    def pack(writer: StoreWriter) -> dict[str, Any]:
        summary = source.pack(writer, progress)
        if _key(source) != key:
            raise DataError(f"{source.spec} changed while it was read; start again when nothing writes to it")
        return summary

    write_store(path, source.spec, pack)
    return PatchStore.open(path)  # written and verified a moment ago


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
def locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that packs the same data")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def clear_words_for_the_folder(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot keep packed data in {folder}: {error.strerror or error}; name another folder in TESTSTRIP_CACHE"
        ) from error
