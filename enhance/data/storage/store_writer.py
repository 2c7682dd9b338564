"""Writing packed stores; `enhance.data.storage.store` describes their layout.

Stores are committed like every file of this project: written to a unique temporary name in the same folder, synced,
verified, linked to the final name without overwriting, and the folder synced.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from enhance.data.storage.errors import DataError
from enhance.data.storage.store import (
    ARRAYS,
    DTYPES,
    MAGIC,
    PREAMBLE,
    SIDES,
    SPLITS,
    VERSION,
    Layout,
    Patches,
    PatchStore,
    block_start,
    pair_dtype,
)


class StoreWriter:
    """Takes patches one at a time, as pairs or as single pictures of two sides, and keeps none of them in memory.

    All patches of a store have the same height and width, and those of one side the same dtype, uint8 or uint16.
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
        file.write(bytes(PREAMBLE.size))  # zeros until `finish`, so that an unfinished file is not a store

    def add(self, split: str, image: Patches, target: Patches) -> None:
        """Append one pair of (H, W, 3) patches to "train" or, once all of those are in, to "val"."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is not a choice; choose from {', '.join(SPLITS)}")
        self._check(paired=True, input=image, target=target)
        self._begin(split, SPLITS)
        record = np.zeros((), pair_dtype(self._dtypes, list(self._shape)))  # zeros: padding must not be random bytes
        record["input"], record["target"] = image, target
        self._write(record.tobytes())
        for side in SIDES:
            self.counts[f"{split}_{side}"] += 1

    def add_side(self, split: str, side: str, image: Patches) -> None:
        """Append one (H, W, 3) patch to one side of an unpaired store; sides come in the order of `ARRAYS`."""
        name = f"{split}_{side}"
        if name not in ARRAYS:
            raise ValueError(f"split={split!r}, side={side!r} is not a choice; choose from {SPLITS} and {SIDES}")
        self._check(paired=False, **{side: image})
        self._begin(name, ARRAYS)
        self._write(np.asarray(image, DTYPES[image.dtype.name]).tobytes())
        self.counts[name] += 1

    def finish(self, summary: dict[str, Any]) -> None:
        """Write header and preamble. Raises DataError if a split, or one of its sides, is empty."""
        for name, count in self.counts.items():
            if not count:
                split, _, side = name.partition("_")
                missing = f"{split} {side} picture" if self._paired is False else f"{split} pair"
                raise DataError(f"{self._spec} has no usable {missing}; at least one is needed")
        assert self._paired is not None  # something was added
        layout = Layout(paired=self._paired, shape=list(self._shape), dtypes=self._dtypes, counts=self.counts)
        payload_sha256 = self._digest.hexdigest()
        layout_text = json.dumps(dataclasses.asdict(layout), sort_keys=True)
        counts = {split: self.counts[f"{split}_input"] for split in SPLITS} if self._paired else self.counts
        header = {
            "spec": self._spec,
            # Of the pixels and their layout alone: it identifies the data of a trial, wherever they came from.
            "fingerprint": hashlib.sha256(f"{layout_text} {payload_sha256}".encode()).hexdigest()[:16],
            "payload_sha256": payload_sha256,
            "layout": dataclasses.asdict(layout),
            "summary": {**counts, "size_px": self._shape[0], **summary},
        }
        text = json.dumps(header, allow_nan=False).encode()
        offset = self._file.tell()
        self._file.write(text)
        self._file.seek(0)
        self._file.write(PREAMBLE.pack(MAGIC, VERSION, offset, len(text), hashlib.sha256(text).digest()))

    def _check(self, paired: bool, **patches: Patches) -> None:
        if self._paired not in (None, paired):
            raise ValueError("a store holds either pairs (add) or two unpaired sides (add_side), not both")
        for side, patch in patches.items():
            # The first patch decides the shape, and the first of each side its dtype.
            shape, dtype = self._shape or patch.shape, self._dtypes.get(side, patch.dtype.name)
            alike = (patch.shape, patch.dtype.name) == (shape, dtype)
            if not alike or dtype not in DTYPES or shape[2:] != (3,) or 0 in shape:
                raise ValueError(
                    f"{side} patch of shape {patch.shape} and dtype {patch.dtype} does not fit: it must be {shape} "
                    f"{dtype}, of shape (H, W, 3) and dtype {' or '.join(DTYPES)}"
                )
            self._shape, self._dtypes[side] = shape, dtype
        self._paired = paired

    def _begin(self, block: str, order: tuple[str, ...]) -> None:
        """Start `block` if it is a new one, padding up to its offset."""
        if block == self._block:
            return
        if self._block and order.index(block) < order.index(self._block):
            raise ValueError(f"{block} cannot follow {self._block}: the order is {', '.join(order)}")
        self._block = block
        at = self._file.tell()
        self._write(bytes(block_start(at) - at))

    def _write(self, raw: bytes) -> None:
        self._digest.update(raw)
        self._file.write(raw)


def write_store(path: Path, spec: str, pack: Callable[[StoreWriter], dict[str, Any]]) -> None:
    """Create the store at `path`; `pack` adds the patches to the writer it is given and returns the summary.

    An existing store is left alone. Whatever fails, no partial store or temporary file remains, unless the process is
    killed; `remove_temporaries` clears up after that.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _removing(temporary):
        with temporary.open("xb") as file:
            writer = StoreWriter(file, spec)
            writer.finish(pack(writer))
            file.flush()
            os.fsync(file.fileno())
        PatchStore.open(temporary, verify=True)
        with contextlib.suppress(FileExistsError):  # someone else was faster, with the same content
            os.link(temporary, path)
    _fsync_folder(path.parent)


def remove_temporaries(path: Path) -> None:
    """Remove what killed writers of `path` left behind. Call it only when nobody can be writing to `path`."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def _removing(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    # Without this, a crash of the machine could lose the new name although the file's content is safe.
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
