"""The packed store: all pairs of patches in one file, memory-mapped, written once, never changed.

Layout: a preamble of 64 bytes (magic, version, where the header lies, the header's sha256), then the training pairs
and the validation pairs as uint8 of shape (N, 2, H, W, 3) with the input before its target, then the header as JSON.
The header comes last because the number of pairs is known only when all have been read, and the preamble is filled in
after everything else, so that an unfinished file never looks like a store.

Committed as every file of this project: unique temporary name in the same folder, fsync, verify, link without
overwriting, fsync the folder.
"""

import contextlib
import hashlib
import json
import mmap
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from enhance.data.errors import DataError

Pixels = npt.NDArray[np.uint8]

MAGIC = b"TSTRIP\r\n"
VERSION = 1
SPLITS = ("train", "val")

_PREAMBLE = struct.Struct("<8sQQQ32s")  # magic, version, header offset, header length, sha256 of the header
_HASH_BYTES = 1 << 24


class StoreError(DataError):
    """A file that is no whole store of the version this program reads."""


@dataclass(frozen=True, eq=False, slots=True)
class PairStore:
    """An opened store. Read-only, safe to fork; pickles as its path and fingerprint, and is opened again from there.

    The arrays are uint8 of shape (N, H, W, 3), RGB, views of the mapped file, strided (input beside target).
    `spec` is what the store was made from ("demo", or "dped:" and "photos:" with the absolute folder), `fingerprint`
    16 hexadecimal digits of a sha256 over pixels and shapes, `summary` what was counted, left out and simulated.
    """

    path: Path
    spec: str
    fingerprint: str
    train_input: Pixels
    train_target: Pixels
    val_input: Pixels
    val_target: Pixels
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> "PairStore":
        """Maps the store at `path`. Magic, version, header and length are always checked; `verify` reads every pixel.

        Raises DataError where there is no readable file, StoreError where it is damaged or of another version.
        """
        mapped = _map(path)
        header = _read_header(path, mapped)
        pairs = {split: _view(mapped, header, split) for split in SPLITS}
        if verify and _sha256(path, _PREAMBLE.size, _payload_end(header)) != header["payload_sha256"]:
            raise StoreError(f"{path} is damaged: its pixels do not match their checksum")
        return cls(
            path=path,
            spec=header["spec"],
            fingerprint=header["fingerprint"],
            train_input=pairs["train"][:, 0],
            train_target=pairs["train"][:, 1],
            val_input=pairs["val"][:, 0],
            val_target=pairs["val"][:, 1],
            summary=header["summary"],
        )

    def __reduce__(self) -> tuple[Callable[[Path, str], "PairStore"], tuple[Path, str]]:
        return _reopen, (self.path, self.fingerprint)


def _reopen(path: Path, fingerprint: str) -> PairStore:
    store = PairStore.open(path)
    if store.fingerprint != fingerprint:
        raise DataError(f"{path} holds other data ({store.fingerprint}) than when it was opened first ({fingerprint})")
    return store


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length < _PREAMBLE.size:
                raise StoreError(f"{path} is damaged: {length} bytes are too few for a store")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(f"there is no packed data at {path} on this machine") from None
    except OSError as error:
        raise DataError(f"cannot open the packed data at {path}: {error.strerror}") from error


def _read_header(path: Path, mapped: mmap.mmap) -> dict[str, Any]:
    magic, version, offset, length, digest = _PREAMBLE.unpack_from(mapped)
    if magic != MAGIC:
        raise StoreError(f"{path} is not a store: it begins with {magic!r}, not with {MAGIC!r}")
    if version != VERSION:
        raise StoreError(f"{path} is a store of version {version}; this program reads version {VERSION}")
    if offset + length != len(mapped):
        raise StoreError(f"{path} is damaged: it has {len(mapped)} bytes and should have {offset + length}")
    text = mapped[offset : offset + length]
    if hashlib.sha256(text).digest() != digest:
        raise StoreError(f"{path} is damaged: its header does not match its checksum")
    header: dict[str, Any] = json.loads(text)
    if _payload_end(header) != offset:
        raise StoreError(f"{path} is damaged: its pixels end at {offset} and should end at {_payload_end(header)}")
    return header


def _view(mapped: mmap.mmap, header: dict[str, Any], split: str) -> Pixels:
    shape = header["shapes"][split]
    flat = np.frombuffer(mapped, dtype=np.uint8, count=int(np.prod(shape)), offset=header["offsets"][split])
    return flat.reshape(shape)


def _payload_end(header: dict[str, Any]) -> int:
    return int(header["offsets"]["val"] + np.prod(header["shapes"]["val"]))


def _sha256(path: Path, start: int, stop: int) -> str:
    # Read, not mapped: every mapped page touched here would count as memory of this process from now on.
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        for at in range(start, stop, _HASH_BYTES):
            digest.update(file.read(min(_HASH_BYTES, stop - at)))
    return digest.hexdigest()


# --- writing -----------------------------------------------------------------------------------------------------


class StoreWriter:
    """Takes pairs one by one, training before validation, and holds none of them in memory."""

    def __init__(self, file: BinaryIO, spec: str) -> None:
        self._file = file
        self._spec = spec
        self._digest = hashlib.sha256()
        self._patch: tuple[int, ...] | None = None
        self.counts = dict.fromkeys(SPLITS, 0)
        file.write(bytes(_PREAMBLE.size))

    def add(self, split: str, image: Pixels, target: Pixels) -> None:
        """Appends one pair of (H, W, 3) uint8 patches to "train" or "val"; all pairs of a store have one shape."""
        if split not in SPLITS or (split == "train" and self.counts["val"]):
            raise ValueError(f"split={split!r}: training pairs come first, then validation pairs; choose from {SPLITS}")
        self._patch = self._patch or image.shape
        for pixels in (image, target):
            if pixels.shape != self._patch or pixels.shape[2:] != (3,) or pixels.dtype != np.uint8:
                raise ValueError(f"a patch of {pixels.shape} {pixels.dtype} among uint8 patches of {self._patch}")
            raw = pixels.tobytes()
            self._digest.update(raw)
            self._file.write(raw)
        self.counts[split] += 1

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes header and preamble. Raises DataError where a split is empty."""
        for split, count in self.counts.items():
            if self._patch is None or not count:
                raise DataError(f"{self._spec} gives no usable {split} pair; at least one is needed")
        shapes = {split: [count, 2, *self._patch] for split, count in self.counts.items() if self._patch}
        payload_sha256 = self._digest.hexdigest()
        header = {
            "spec": self._spec,
            "fingerprint": hashlib.sha256(f"{json.dumps(shapes)} {payload_sha256}".encode()).hexdigest()[:16],
            "payload_sha256": payload_sha256,
            "shapes": shapes,
            "offsets": {"train": _PREAMBLE.size, "val": _PREAMBLE.size + int(np.prod(shapes["train"]))},
            "summary": {**self.counts, "size_px": shapes["train"][2], **summary},
        }
        text = json.dumps(header, allow_nan=False).encode()
        offset = self._file.tell()
        self._file.write(text)
        self._file.seek(0)
        self._file.write(_PREAMBLE.pack(MAGIC, VERSION, offset, len(text), hashlib.sha256(text).digest()))


def write_store(path: Path, spec: str, pack: Callable[[StoreWriter], dict[str, Any]]) -> None:
    """Makes the store at `path`: `pack` adds the pairs to the writer it is given and returns the summary.

    A store that is there already is left as it is. Whatever fails, no half store and no temporary file is left
    behind, except by a kill; `remove_temporaries` clears that.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _removed_at_the_end(temporary):
        with temporary.open("xb") as file:
            writer = StoreWriter(file, spec)
            writer.finish(pack(writer))
            file.flush()
            os.fsync(file.fileno())
        PairStore.open(temporary, verify=True)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    _fsync_folder(path.parent)


def remove_temporaries(path: Path) -> None:
    """Clears what killed writers of `path` left; only for a caller who knows that nobody is writing it now."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def _removed_at_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
