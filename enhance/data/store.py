"""The packed store: all patches in one file, memory-mapped, written once, never changed.

Layout: a preamble of 64 bytes (magic, version, where the header lies, the header's sha256), then the patches, then the
header as JSON. Patches are uint8 or little-endian uint16 of shape (H, W, 3). In a store of pairs they are the training
pairs and then the validation pairs, each an input with its target after it, padded so that a uint16 begins at an even
place; in an unpaired store the training inputs, training targets, validation inputs, validation targets. Each of these
blocks begins at a multiple of 8 bytes. The header comes last because the number of patches is known only when all have
been read, and the preamble is filled in after everything else, so that an unfinished file never looks like a store.

Committed as every file of this project: unique temporary name in the same folder, fsync, verify, link without
overwriting, fsync the folder.
"""

import contextlib
import dataclasses
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
Patches = npt.NDArray[np.uint8 | np.uint16]  # value / 255 or value / 65535 is in [0, 1]

MAGIC = b"TSTRIP\r\n"
VERSION = 2
SPLITS = ("train", "val")
SIDES = ("input", "target")
ARRAYS = ("train_input", "train_target", "val_input", "val_target")
DTYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "uint16": np.dtype("<u2")}

_PREAMBLE = struct.Struct("<8sQQQ32s")  # magic, version, header offset, header length, sha256 of the header
_HASH_BYTES = 1 << 24
_BLOCK_STARTS_AT = 8  # a multiple of this


class StoreError(DataError):
    """A file that is no whole store of the version this program reads."""


@dataclass(frozen=True, eq=False, slots=True)
class PatchStore:
    """An opened store. Read-only, safe to fork; pickles as its path and fingerprint, and is opened again from there.

    The arrays are RGB of shape (N, H, W, 3), uint8 or uint16, each side (input, target) with a dtype of its own; views
    of the mapped file, strided in a store of pairs. Where `paired`, input i belongs to target i. Where not, the counts
    of inputs and targets differ, and index i of one has nothing to do with index i of the other.
    `spec` is what the store was made from, with folders absolute; `fingerprint` 16 hexadecimal digits of a sha256 over
    pixels, dtypes, shapes and `paired`; `summary` what was counted, left out and simulated.
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
        """Maps the store at `path`. Magic, version, header and length are always checked; `verify` reads every pixel.

        Raises DataError where there is no readable file, StoreError where it is damaged or of another version.
        """
        mapped = _map(path)
        header = _read_header(path, mapped)
        layout = _Layout(**header["layout"])
        if verify and _sha256(path, _PREAMBLE.size, layout.end) != header["payload_sha256"]:
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
class _Layout:
    """What lies where; as JSON a part of the header.

    shape: of one patch. dtypes: name by side. counts: number of patches by array, of `ARRAYS`.
    """

    paired: bool
    shape: list[int]
    dtypes: dict[str, str]
    counts: dict[str, int]

    @property
    def blocks(self) -> dict[str, tuple[np.dtype[Any], int, int]]:
        """Dtype of one record, number of records and offset in the file, by name: split if paired, else array."""
        if self.paired:
            records = [(split, _pair(self.dtypes, self.shape), self.counts[f"{split}_input"]) for split in SPLITS]
        else:
            records = [(name, _side(self.dtypes[side_of(name)], self.shape), self.counts[name]) for name in ARRAYS]
        blocks, offset = {}, _PREAMBLE.size
        for name, dtype, count in records:
            offset = _aligned(offset)
            blocks[name] = dtype, count, offset
            offset += dtype.itemsize * count
        return blocks

    @property
    def end(self) -> int:
        """Where the patches end and the header begins."""
        dtype, count, offset = list(self.blocks.values())[-1]
        return offset + dtype.itemsize * count


def side_of(array: str) -> str:
    """ "input" or "target", of a name in `ARRAYS`."""
    return array.partition("_")[2]


def _pair(dtypes: dict[str, str], shape: list[int]) -> np.dtype[Any]:
    return np.dtype([(side, DTYPES[dtypes[side]], tuple(shape)) for side in SIDES], align=True)


def _side(dtype: str, shape: list[int]) -> np.dtype[Any]:
    return np.dtype((DTYPES[dtype], tuple(shape)))


def _aligned(offset: int) -> int:
    return -(-offset // _BLOCK_STARTS_AT) * _BLOCK_STARTS_AT


def _reopen(path: Path, fingerprint: str) -> PatchStore:
    store = PatchStore.open(path)
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
    end = _Layout(**header["layout"]).end
    if end != offset:
        raise StoreError(f"{path} is damaged: its pixels end at {offset} and should end at {end}")
    return header


def _views(mapped: mmap.mmap, layout: _Layout) -> dict[str, Patches]:
    def block(name: str) -> npt.NDArray[Any]:
        dtype, count, offset = layout.blocks[name]
        # As bytes first: numpy.frombuffer knows no dtype of a whole patch.
        flat = np.frombuffer(mapped, dtype=np.uint8, count=dtype.itemsize * count, offset=offset)
        return flat.view(dtype) if dtype.names else flat.view(dtype.base).reshape(count, *dtype.shape)

    if layout.paired:
        return {f"{split}_{side}": block(split)[side] for split in SPLITS for side in SIDES}
    return {name: block(name) for name in ARRAYS}


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
    """Takes patches one by one, either pairs or single ones of two sides, and holds none of them in memory.

    All patches of a store have one height and width, and those of one side one dtype: uint8 or uint16.
    """

    def __init__(self, file: BinaryIO, spec: str) -> None:
        self._file = file
        self._spec = spec
        self._digest = hashlib.sha256()
        self._paired: bool | None = None
        self._shape: tuple[int, ...] = ()
        self._dtypes: dict[str, str] = {}
        self._block = ""
        self.counts = dict.fromkeys(ARRAYS, 0)
        file.write(bytes(_PREAMBLE.size))

    def add(self, split: str, image: Patches, target: Patches) -> None:
        """Appends one pair of (H, W, 3) patches to "train" or, when all of those are in, to "val"."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is not a choice; choose from {', '.join(SPLITS)}")
        self._check(paired=True, input=image, target=target)
        self._begin(split, SPLITS)
        record = np.zeros((), _pair(self._dtypes, list(self._shape)))
        record["input"], record["target"] = image, target
        self._write(record.tobytes())
        for side in SIDES:
            self.counts[f"{split}_{side}"] += 1

    def add_side(self, split: str, side: str, image: Patches) -> None:
        """Appends one (H, W, 3) patch to one side of an unpaired store, in the order of `ARRAYS`."""
        name = f"{split}_{side}"
        if name not in ARRAYS:
            raise ValueError(f"split={split!r}, side={side!r} is not a choice; choose from {SPLITS} and {SIDES}")
        self._check(paired=False, **{side: image})
        self._begin(name, ARRAYS)
        self._write(np.asarray(image, DTYPES[image.dtype.name]).tobytes())
        self.counts[name] += 1

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes header and preamble. Raises DataError where a split, or a side of one, is empty."""
        for name, count in self.counts.items():
            if not count:
                split, _, side = name.partition("_")
                missing = f"{split} {side} picture" if self._paired is False else f"{split} pair"
                raise DataError(f"{self._spec} gives no usable {missing}; at least one is needed")
        assert self._paired is not None  # for something was counted
        layout = _Layout(paired=self._paired, shape=list(self._shape), dtypes=self._dtypes, counts=self.counts)
        payload_sha256 = self._digest.hexdigest()
        described = json.dumps(dataclasses.asdict(layout), sort_keys=True)
        counts = {split: self.counts[f"{split}_input"] for split in SPLITS} if self._paired else self.counts
        header = {
            "spec": self._spec,
            "fingerprint": hashlib.sha256(f"{described} {payload_sha256}".encode()).hexdigest()[:16],
            "payload_sha256": payload_sha256,
            "layout": dataclasses.asdict(layout),
            "summary": {**counts, "size_px": self._shape[0], **summary},
        }
        text = json.dumps(header, allow_nan=False).encode()
        offset = self._file.tell()
        self._file.write(text)
        self._file.seek(0)
        self._file.write(_PREAMBLE.pack(MAGIC, VERSION, offset, len(text), hashlib.sha256(text).digest()))

    def _check(self, paired: bool, **patches: Patches) -> None:
        if self._paired not in (None, paired):
            raise ValueError("a store holds either pairs (add) or two unpaired sides (add_side), not both")
        for side, patch in patches.items():
            shape, dtype = self._shape or patch.shape, self._dtypes.get(side, patch.dtype.name)
            alike = (patch.shape, patch.dtype.name) == (shape, dtype)
            if not alike or dtype not in DTYPES or shape[2:] != (3,) or 0 in shape:
                raise ValueError(
                    f"a patch of {patch.shape} {patch.dtype} among {side} patches of {shape} {dtype}; "
                    f"all must be (H, W, 3) alike, and {' or '.join(DTYPES)}"
                )
            self._shape, self._dtypes[side] = shape, dtype
        self._paired = paired

    def _begin(self, block: str, order: tuple[str, ...]) -> None:
        """Pads up to the start of `block` where it is a new one."""
        if block == self._block:
            return
        if self._block and order.index(block) < order.index(self._block):
            raise ValueError(f"{block} after {self._block}: the order is {', '.join(order)}")
        self._block = block
        at = self._file.tell()
        self._write(bytes(_aligned(at) - at))

    def _write(self, raw: bytes) -> None:
        self._digest.update(raw)
        self._file.write(raw)


def write_store(path: Path, spec: str, pack: Callable[[StoreWriter], dict[str, Any]]) -> None:
    """Makes the store at `path`: `pack` adds the patches to the writer it is given and returns the summary.

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
        PatchStore.open(temporary, verify=True)
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
