"""Aligning single pairs of photographs in worker processes, and the files that keep each pair's result.

Only the worker processes load torch.
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

Report = dict[str, Any]  # the result for one pair in JSON types; see `_align`

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Job:
    """One pair of photographs, and the file for its result."""

    stem: str
    phone: Path
    dslr: Path
    patch_px: int
    result: Path


def in_processes(jobs: list[Job], workers: int) -> Iterator[Report]:
    """Yield the reports as they come. Workers are spawned, because forking a process with threads is unsafe."""
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_begin_worker)
    try:
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a process that aligns photographs died: either it was killed (out of memory?), or it could not start "
            'because the script lacks `if __name__ == "__main__":`. Finished pairs are kept; start again to continue'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    import torch

    torch.set_num_threads(1)  # the processes themselves use all cores
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver handles Ctrl-C and lets workers finish their pairs
    threading.Thread(target=_die_with_the_driver, daemon=True).start()


def _die_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver  # this process was spawned
    driver.join()
    os._exit(1)  # a killed driver cannot shut its pool down


def work(job: Job) -> Report:
    """Align one pair and save the result. Loads torch."""
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
    """Save a result at `path`, preceded by its sha256. The file appears complete or not at all."""
    # In memory first, because the digest precedes what it covers.
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
    """Read back inputs, targets and report from `path`; None if there is no file, or a damaged one."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    # Before np.load, which may fail in many ways on damaged bytes.
    if hashlib.sha256(raw[_DIGEST_BYTES:]).digest() != raw[:_DIGEST_BYTES]:
        return None
    with np.load(io.BytesIO(raw[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        return arrays["inputs"], arrays["targets"], json.loads(str(arrays["report"]))


def result_of(name: str) -> str:
    """The name of the result file behind `name`, which may be a temporary file left by a killed writer."""
    return name.removeprefix(".").partition(".pair")[0] + ".pair"


def patches_of(job: Job) -> tuple[Pixels, Pixels]:
    """Inputs and targets of a finished pair. Raises DataError if the result is gone or damaged."""
    result = read_result(job.result)
    if result is None:
        raise DataError(f"{job.result} was damaged or removed while it was being read; start again")
    return result[:2]
