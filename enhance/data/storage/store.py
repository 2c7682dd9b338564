"""The packed store: all patches in one file, memory-mapped, written once and never changed.

Layout: a 64-byte preamble (magic, version, position of the header, the header's sha256), the patches, the header as
JSON. Patches are uint8 or little-endian uint16 of shape (H, W, 3). A store of pairs holds the training pairs, then the
validation pairs, each an input followed by its target, padded so that uint16 values start at even offsets. An unpaired
store holds training inputs, training targets, validation inputs and validation targets. Each of these blocks starts at
a multiple of 8 bytes. The header comes last because the number of patches is only known after all have been read. The
preamble is filled in last of all, so that an unfinished file never looks like a store.

This module reads stores; `enhance.data.storage.store_writer` writes them.
"""

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from enhance.data.storage.errors import DataError

Pixels = npt.NDArray[np.uint8]
Patches = npt.NDArray[np.uint8 | np.uint16]  # value / 255 or value / 65535 is in [0, 1]

# The line end, as in PNG's magic, shows a file that was transferred as text.
MAGIC = b"TSTRIP\r\n"
# Version 2: two sides with a dtype of their own, paired or not.
VERSION = 2
SPLITS = ("train", "val")
SIDES = ("input", "target")
ARRAYS = ("train_input", "train_target", "val_input", "val_target")
DTYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "uint16": np.dtype("<u2")}

PREAMBLE = struct.Struct("<8sQQQ32s")  # magic, version, header offset, header length, sha256 of the header
# Read at a time, to bound the memory.
_HASH_BYTES = 1 << 24
_BLOCK_ALIGNMENT = 8  # bytes


class StoreError(DataError):
    """A file that is not an intact store of the version this program reads."""


@dataclass(frozen=True, eq=False, slots=True)
class PatchStore:
    """An open store. Read-only and safe to fork; it pickles as path and fingerprint, and unpickling reopens the file.

    The arrays are RGB, (N, H, W, 3), uint8 or uint16, with one dtype per side (input, target). They are views of the
    mapped file, strided in a store of pairs. If `paired`, input i belongs to target i. If not, inputs and targets are
    unrelated and may differ in number.

    spec: what the store was made from, with absolute folders. fingerprint: 16 hexadecimal digits of a sha256 over
    pixels, dtypes, shapes and `paired`. summary: what was counted, left out and simulated.
    """

    path: Path
    spec: str
    fingerprint: str
    paired: bool
    train_input: Patches
    train_target: Patches
    val_input: Patches
    val_target: Patches
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> "PatchStore":
        """Map the store at `path`. Magic, version, header and length are always checked; `verify` checks every pixel.

        Raises DataError if there is no readable file, and StoreError if it is damaged or of another version.
        """
        mapped = _map(path)
        header = _read_header(path, mapped)
        layout = Layout(**header["layout"])
        if verify and _sha256(path, PREAMBLE.size, layout.end) != header["payload_sha256"]:
            raise StoreError(f"{path} is damaged: its pixels do not match their checksum")
        return cls(
            path=path,
            spec=header["spec"],
            fingerprint=header["fingerprint"],
            paired=layout.paired,
            **_views(mapped, layout),
            summary=header["summary"],
        )

    def __reduce__(self) -> tuple[Callable[[Path, str], "PatchStore"], tuple[Path, str]]:
        return _reopen, (self.path, self.fingerprint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What is where in the file; part of the JSON header.

    shape: of one patch. dtypes: dtype name by side. counts: number of patches by array name, one of `ARRAYS`.
    """

    paired: bool
    shape: list[int]
    dtypes: dict[str, str]
    counts: dict[str, int]

    @property
    def blocks(self) -> dict[str, tuple[np.dtype[Any], int, int]]:
        """Record dtype, number of records and file offset of each block, by split if paired, else by array name."""
        if self.paired:
            records = [(split, pair_dtype(self.dtypes, self.shape), self.counts[f"{split}_input"]) for split in SPLITS]
        else:
            records = [(name, side_dtype(self.dtypes[side_of(name)], self.shape), self.counts[name]) for name in ARRAYS]
        blocks, offset = {}, PREAMBLE.size
        for name, dtype, count in records:
            offset = block_start(offset)
            blocks[name] = dtype, count, offset
            offset += dtype.itemsize * count
        return blocks

    @property
    def end(self) -> int:
        """The offset at which the patches end and the header starts."""
        dtype, count, offset = list(self.blocks.values())[-1]
        return offset + dtype.itemsize * count


def side_of(array: str) -> str:
    """ "input" or "target", for one of the names in `ARRAYS`."""
    return array.partition("_")[2]


def pair_dtype(dtypes: dict[str, str], shape: list[int]) -> np.dtype[Any]:
    """The dtype of a record in a store of pairs, with fields "input" and "target"; `dtypes` is by side."""
    return np.dtype([(side, DTYPES[dtypes[side]], tuple(shape)) for side in SIDES], align=True)


def side_dtype(dtype: str, shape: list[int]) -> np.dtype[Any]:
    """The dtype of a record in an unpaired store: a whole patch."""
    return np.dtype((DTYPES[dtype], tuple(shape)))


def block_start(offset: int) -> int:
    """The first offset from `offset` on at which a block may start."""
    return -(-offset // _BLOCK_ALIGNMENT) * _BLOCK_ALIGNMENT


def _reopen(path: Path, fingerprint: str) -> PatchStore:
    store = PatchStore.open(path)
    if store.fingerprint != fingerprint:
        raise DataError(f"{path} has changed: its fingerprint was {fingerprint} and is now {store.fingerprint}")
    return store


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length < PREAMBLE.size:
                raise StoreError(f"{path} is damaged: {length} bytes are too few for a store")
            # The mapping stays valid when the file is closed, and even when it is deleted.
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(f"there is no packed data at {path} on this machine") from None
    except OSError as error:
        raise DataError(f"cannot open the packed data at {path}: {error.strerror}") from error


def _read_header(path: Path, mapped: mmap.mmap) -> dict[str, Any]:
    magic, version, offset, length, digest = PREAMBLE.unpack_from(mapped)
    if magic != MAGIC:
        raise StoreError(f"{path} is not a store: it starts with {magic!r}, not with {MAGIC!r}")
    if version != VERSION:
        raise StoreError(f"{path} is a store of version {version}; this program reads version {VERSION}")
    if offset + length != len(mapped):
        raise StoreError(f"{path} is damaged: it has {len(mapped)} bytes and should have {offset + length}")
    text = mapped[offset : offset + length]
    if hashlib.sha256(text).digest() != digest:
        raise StoreError(f"{path} is damaged: its header does not match its checksum")
    header: dict[str, Any] = json.loads(text)
    end = Layout(**header["layout"]).end
    if end != offset:
        raise StoreError(f"{path} is damaged: its pixels end at {offset} and should end at {end}")
    return header


def _views(mapped: mmap.mmap, layout: Layout) -> dict[str, Patches]:
    def block(name: str) -> npt.NDArray[Any]:
        dtype, count, offset = layout.blocks[name]
        # Through bytes, because np.frombuffer does not accept a dtype with a shape.
        flat = np.frombuffer(mapped, dtype=np.uint8, count=dtype.itemsize * count, offset=offset)
        return flat.view(dtype) if dtype.names else flat.view(dtype.base).reshape(count, *dtype.shape)

    if layout.paired:
        return {f"{split}_{side}": block(split)[side] for split in SPLITS for side in SIDES}
    return {name: block(name) for name in ARRAYS}


def _sha256(path: Path, start: int, stop: int) -> str:
    # Read, not mapped: the mapped pages would count as this process's memory from then on.
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        for at in range(start, stop, _HASH_BYTES):
            digest.update(file.read(min(_HASH_BYTES, stop - at)))
    return digest.hexdigest()
