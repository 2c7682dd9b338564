"""The work on single pairs of photographs: aligned in processes of their own, each result kept in a file.

Only those processes load torch.
"""

import hashlib
import io
import json
import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enhance.data.reading.pictures import PictureError, read_picture, strict_pillow
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import Pixels

Report = dict[str, Any]  # what one pair gave, in JSON types; see `_align`

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Job:
    """One pair of photographs, and where its result is kept."""

    stem: str
    phone: Path
    dslr: Path
    patch_px: int
    result: Path


def in_processes(jobs: list[Job], workers: int) -> Iterator[Report]:
    """The reports as they come. Processes are spawned: forking one with threads would be unsafe."""
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_begin_worker)
    try:
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a process that aligns photographs died: it was killed (for want of memory?), or it could not start, which "
            'needs `if __name__ == "__main__":` around what a script does. What is done is kept; start again'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears it, and lets the pairs in work be finished
    threading.Thread(target=_die_with_the_driver, daemon=True).start()


def _die_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver  # this is a spawned process
    driver.join()
    os._exit(1)  # a killed driver cannot tell its pool to end


def work(job: Job) -> Report:
    """Aligns one pair and keeps the result; for a process that may load torch."""
    inputs, targets, report = _align(job)
    write_result(job.result, inputs, targets, report)
    return report


def _align(job: Job) -> tuple[Pixels, Pixels, Report]:
    from enhance.data.alignment.align import align  # loads torch, which the driver must not
    from enhance.data.alignment.homography import AlignmentError

    nothing = np.zeros((0, job.patch_px, job.patch_px, 3), np.uint8)
    report: Report = {"stem": job.stem, "excluded": None, "kept": 0, "rejected": {}, "changes": [], "digests": []}
    try:
        with strict_pillow():
            read = {path: read_picture(path) for path in (job.phone, job.dslr)}
        report["changes"] = [(change, str(path)) for path, picture in read.items() for change in picture.changes]
        phone, dslr = (read[path].pixels for path in (job.phone, job.dslr))
        report["digests"] = [hashlib.sha256(photograph.tobytes()).hexdigest() for photograph in (phone, dslr)]
        aligned = align(phone, dslr, job.patch_px)
    except (PictureError, AlignmentError) as error:
        return nothing, nothing, {**report, "excluded": [error.reason, error.detail]}
    return aligned.inputs, aligned.targets, {**report, "kept": len(aligned.inputs), "rejected": aligned.rejected}


def write_result(path: Path, inputs: Pixels, targets: Pixels, report: Report) -> None:
    """Keeps a result at `path`, after its sha256; whole or not at all."""
    file = io.BytesIO()
    np.savez(file, inputs=inputs, targets=targets, report=np.array(json.dumps(report)))
    raw = file.getvalue()
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as written:
            written.write(hashlib.sha256(raw).digest() + raw)
            written.flush()
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_result(path: Path) -> tuple[Pixels, Pixels, Report] | None:
    """What `write_result` kept at `path`: inputs, targets, report. None where there is none, or a damaged one."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(raw[_DIGEST_BYTES:]).digest() != raw[:_DIGEST_BYTES]:
        return None
    with np.load(io.BytesIO(raw[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        return arrays["inputs"], arrays["targets"], json.loads(str(arrays["report"]))


def result_of(name: str) -> str:
    """The name of the result that a file is, or that it was to become when its writer was killed."""
    return name.removeprefix(".").partition(".pair")[0] + ".pair"


def patches_of(job: Job) -> tuple[Pixels, Pixels]:
    """Inputs and targets of a pair that `work` is done with. Raises DataError where the result is gone or damaged."""
    result = read_result(job.result)
    if result is None:
        raise DataError(f"{job.result} was damaged or removed while it was read; start again")
    return result[:2]
