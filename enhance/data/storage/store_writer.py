"""The writing of packed stores; `enhance.data.storage.store` says what lies where in one.

Committed as every file of this project: unique temporary name in the same folder, fsync, verify, link without
overwriting, fsync the folder.
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
        file.write(bytes(PREAMBLE.size))

    def add(self, split: str, image: Patches, target: Patches) -> None:
        """Appends one pair of (H, W, 3) patches to "train" or, when all of those are in, to "val"."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is not a choice; choose from {', '.join(SPLITS)}")
        self._check(paired=True, input=image, target=target)
        self._begin(split, SPLITS)
        record = np.zeros((), pair_dtype(self._dtypes, list(self._shape)))
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
        layout = Layout(paired=self._paired, shape=list(self._shape), dtypes=self._dtypes, counts=self.counts)
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
        self._file.write(PREAMBLE.pack(MAGIC, VERSION, offset, len(text), hashlib.sha256(text).digest()))

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
        self._write(bytes(block_start(at) - at))

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
