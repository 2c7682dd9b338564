"""Aligned patches from whole photographs of the same scenes by two cameras, the way DPED's were made.

Aligning takes seconds per pair. It runs in worker processes, the only ones that load torch, and every pair's result is
kept next to the store until that is complete, so packing can resume after a kill.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhance.data.alignment.pair_jobs import Job, Report, in_processes, patches_of, read_result, result_of
from enhance.data.reading.folders import absolute, by_number, format_spec, list_pictures
from enhance.data.reading.pictures import CODE as READING
from enhance.data.reading.pictures import Tally
from enhance.data.storage.cache import cache_folder, code_digest, open_or_pack
from enhance.data.storage.errors import DataError
from enhance.data.storage.store import PatchStore
from enhance.data.storage.store_writer import StoreWriter

PATCH_PX = 100  # as in DPED
SUFFIXES = (".jpg", ".jpeg", ".png")
MIN_PAIRS = 5  # with fewer, validation would not get a whole pair of photographs
VAL_EVERY = 5  # one pair of photographs in five is for validation
MAX_EXCLUDED_SHARE = 0.5  # some photographs fail; more than this means that the folders do not belong together
CODE = (
    "sources/pairs.py",
    "alignment/pair_jobs.py",
    "alignment/align.py",
    "alignment/homography.py",
    "alignment/correlation.py",
    "reading/folders.py",
    *READING,
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The JPEG and PNG files of two folders (without subfolders); equal names up to the suffix make a pair.

    The last fifth of the usable pairs by name is for validation: cameras number their pictures, so those of one scene
    stay in the same split. A pair is left out if one of its photographs has exactly the pixels of an earlier one,
    because it could end up in both splits.

    workers: number of processes, None for one per core; it affects nothing but the time.
    kept: folder for the results of single pairs; None for a temporary one, removed when packing ends in any way.
    """

    phone: Path
    dslr: Path
    patch_px: int = PATCH_PX
    workers: int | None = None
    kept: Path | None = None

    @classmethod
    def parse(cls, where: str, patch_px: int) -> "Pairs":
        """The source named by "PHONE_DIR:DSLR_DIR". Raises DataError like `find`."""
        folders = where.split(":")
        if len(folders) != 2 or not all(folders):
            raise DataError(
                f"pairs:{where} names {len([f for f in folders if f])} folders; write pairs:PHONE_DIR:DSLR_DIR, with "
                "no other colon (if a folder's name has one, make a link to it whose name has none)"
            )
        return cls.find(Path(folders[0]), Path(folders[1]), patch_px)

    @classmethod
    def find(cls, phone: Path, dslr: Path, patch_px: int = PATCH_PX) -> "Pairs":
        """The photographs in two folders. Raises DataError if a folder is missing or they have no name in common."""
        pairs = cls(_colonless(phone), _colonless(dslr), patch_px)
        if pairs.phone == pairs.dslr:
            raise DataError(f"the two cameras' photographs must be in two folders, not both in {pairs.phone}")
        if not pairs._stems(Tally()):
            has = " and ".join(list_pictures(folder, SUFFIXES).contents() for folder in (pairs.phone, pairs.dslr))
            raise DataError(f"{pairs.phone} and {pairs.dslr} have no pictures of equal name; they have {has}")
        # Fail now rather than in the workers.
        _kornia_version()
        return pairs

    @property
    def name(self) -> str:
        """The start of the packed store's file name."""
        return "pairs"

    @property
    def spec(self) -> str:
        """The spec of this source, with its absolute folders and its patch size unless that is the default."""
        where = f"{self.phone}:{self.dslr}"
        return format_spec("pairs", where, None if self.patch_px == PATCH_PX else self.patch_px)

    def identity(self) -> dict[str, object]:
        """Names, sizes and times of all photographs, and whatever else determines the patches."""
        states = {folder: list_pictures(Path(folder), SUFFIXES).state() for folder in (str(self.phone), str(self.dslr))}
        return {"files": states, **self._alignment()}

    def open(self, cache: Path | None, progress: Progress) -> PatchStore:
        """Open the store in `cache`, packing it first if necessary; then remove the results of single pairs."""
        kept = cache_folder(cache) / "pairs-unfinished"
        store = open_or_pack(dataclasses.replace(self, kept=kept), cache, progress)
        if kept.is_dir():
            mine = {job.result.name for job in self._jobs(kept, Tally())}
            for path in kept.iterdir():
                if result_of(path.name) in mine:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: another packing keeps its results here
                kept.rmdir()
        return store

    def pack(self, writer: StoreWriter, progress: Progress) -> dict[str, Any]:
        """Add the patches of all usable pairs of photographs. Raises DataError if there are too few."""
        ignored, excluded = Tally(), Tally()
        with self._results() as folder:
            jobs = self._jobs(folder, ignored)
            reports = self._align_all(jobs, progress)
            usable = _usable(jobs, reports, excluded)
            self._check_enough(jobs, usable, excluded)
            first_of_val = len(usable) - len(usable) // VAL_EVERY
            for done, job in enumerate(usable):
                progress(f"packing {self.spec}: {done} of {len(usable)} pairs of photographs")
                for pair in zip(*patches_of(job), strict=True):
                    writer.add("train" if done < first_of_val else "val", *pair)
        rejected, changed = Counter[str](), Tally()
        for job in jobs:
            for change, file in reports[job.stem]["changes"]:
                changed.add(change, file)
            rejected.update(reports[job.stem]["rejected"])
        return {
            "photographs": {"pairs": len(jobs), "usable": len(usable), "split": "by photograph"},
            "excluded": excluded.summary(),
            "changed": changed.summary(),
            "ignored": ignored.summary(),
            "rejected_windows": dict(sorted(rejected.items())),
            "alignment": self._alignment(),
        }

    def _alignment(self) -> dict[str, object]:
        """Everything that determines the patches, except for the photographs."""
        # kornia's SIFT and RANSAC decide which patches there are, so its version counts like our code.
        code = code_digest(*CODE)
        return {"patch_px": self.patch_px, "kornia": _kornia_version(), "code": code}

    def _stems(self, ignored: Tally) -> dict[str, tuple[str, str]]:
        """The two file names of each pair, by stem and in the order of the stems."""
        sides = []
        for folder in (self.phone, self.dslr):
            listing, side = list_pictures(folder, SUFFIXES), dict[str, str]()
            for name in listing.others:
                ignored.add("not a JPEG or PNG file", str(folder / name))
            stems = Counter(map(_stem, listing.pictures))
            for name in listing.pictures:
                if stems[_stem(name)] == 1:
                    side[_stem(name)] = name
                else:
                    ignored.add("several pictures with this name", str(folder / name))
            sides.append(side)
        for folder, side, other in zip((self.phone, self.dslr), sides, reversed(sides), strict=True):
            for stem in side.keys() - other.keys():
                ignored.add("no partner", str(folder / side[stem]))
        # by_number takes file names and cuts them at their last dot.
        common = sorted(sides[0].keys() & sides[1].keys(), key=lambda stem: by_number(f"{stem}."))
        return {stem: (sides[0][stem], sides[1][stem]) for stem in common}

    def _jobs(self, folder: Path, ignored: Tally) -> list[Job]:
        """One job per pair. Its result's name is a digest of both files' state and of the alignment's parameters."""
        states = [
            {name: state for name, *state in list_pictures(side, SUFFIXES).state()} for side in (self.phone, self.dslr)
        ]
        jobs = []
        for stem, names in self._stems(ignored).items():
            files = [str(self.phone / names[0]), str(self.dslr / names[1])]
            state = [side.get(name) for side, name in zip(states, names, strict=True)]
            identity = json.dumps({"files": files, "state": state, **self._alignment()}, sort_keys=True)
            key = hashlib.sha256(identity.encode()).hexdigest()[:32]
            jobs.append(Job(stem, Path(files[0]), Path(files[1]), self.patch_px, folder / f"{key}.pair"))
        return jobs

    @contextlib.contextmanager
    def _results(self) -> Iterator[Path]:
        if self.kept is None:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder)
        else:
            self.kept.mkdir(parents=True, exist_ok=True)
            yield self.kept

    def _align_all(self, jobs: list[Job], progress: Progress) -> dict[str, Report]:
        """The report of every pair by stem: those kept from an earlier attempt, and the others from a process pool."""
        progress(f"aligning {self.spec}: checking which of {len(jobs)} pairs of photographs are already done")
        kept = {job.stem: read_result(job.result) for job in jobs}
        reports = {stem: result[2] for stem, result in kept.items() if result}
        waiting = [job for job in jobs if job.stem not in reports]
        began, before = time.monotonic(), len(reports)
        for report in in_processes(waiting, self.workers or len(os.sched_getaffinity(0))):
            reports[report["stem"]] = report
            patches = sum(report["kept"] for report in reports.values())
            windows = sum(sum(report["rejected"].values()) for report in reports.values())
            # At the pace of this attempt: pairs kept from an earlier one took it no time.
            left_s = (time.monotonic() - began) / (len(reports) - before) * (len(jobs) - len(reports))
            progress(
                f"aligning {self.spec}: {len(reports)} of {len(jobs)} pairs of photographs, {patches} patches kept, "
                f"{windows} rejected, {_words(left_s)} left"
            )
        return reports

    def _check_enough(self, jobs: list[Job], usable: list[Job], excluded: Tally) -> None:
        if excluded.total > MAX_EXCLUDED_SHARE * len(jobs):
            raise DataError(
                f"{excluded.total} of {len(jobs)} pairs of photographs in {self.phone} and {self.dslr} cannot be used, "
                f"more than {MAX_EXCLUDED_SHARE:.0%}: {excluded.words()}"
            )
        if len(usable) < MIN_PAIRS:
            raise DataError(
                f"{self.spec} has {len(usable)} usable pairs of photographs; at least {MIN_PAIRS} are needed, because "
                "no scene may serve both training and validation" + (f"; {excluded.words()}" if excluded.total else "")
            )


def _usable(jobs: list[Job], reports: dict[str, Report], excluded: Tally) -> list[Job]:
    usable, seen = [], dict[str, str]()
    for job in jobs:
        # In the order of the jobs, not in that in which workers finished, so that the first of two copies stays.
        report = reports[job.stem]
        copies = [seen[digest] for digest in report["digests"] if digest in seen]
        if report["excluded"]:
            excluded.add(report["excluded"][0], f"{job.stem} ({report['excluded'][1]})")
        elif copies:
            excluded.add("copy", f"{job.stem} (of {copies[0]})")
        elif not report["kept"]:
            excluded.add("no patch kept", f"{job.stem} ({report['rejected']})")
        else:
            usable.append(job)
        seen.update(dict.fromkeys(report["digests"], job.stem))
    return usable


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _colonless(folder: Path) -> Path:
    found = absolute(folder)
    if ":" in str(found):
        raise DataError(f"the folder {found} has a colon in its name, but a colon separates the two folders of pairs:")
    return found


def _kornia_version() -> str:
    try:
        return importlib.metadata.version("kornia")
    except importlib.metadata.PackageNotFoundError:
        raise DataError("data='pairs:...' needs kornia to find keypoints; install kornia") from None


def _words(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
