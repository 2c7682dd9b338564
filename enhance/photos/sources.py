"""Which photographs are enhanced and where the results go, and which network does it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from enhance.photos.codec import CONVERTED, SUFFIXES
from enhance.weights.files import CONFIG

WEIGHTS = "weights"
PASSED_OVER = ("__MACOSX",)
"""Folders that file managers make. Hidden files and folders are passed over too."""


class PhotosError(ValueError):
    """A command line that cannot be carried out; the message is one sentence."""


@dataclass(frozen=True)
class Task:
    """A photograph and the file that the enhanced one becomes. `name` is its path below the folder that was named."""

    source: Path
    result: Path
    name: str


def tasks(named: Sequence[Path], out: Path) -> tuple[list[Task], int]:
    """The photographs among files and folders, searched with their subfolders; and how many other files there are.

    Names are kept, with the suffix of the format in which a photograph is written. Raises PhotosError if there is
    none, or two would have one name, or the results would lie among the originals.
    """
    found, others = [], 0
    for place in named:
        if place.is_dir():
            if _same(place, out) or _inside(out, place):
                raise PhotosError(
                    f"--out {out} lies in {place}, whose photographs must not be overwritten; name another"
                )
            inside = list(_files(place))
            photos = [path for path in inside if _is_photo(path)]
            others += len(inside) - len(photos)
            found += [(path, path.relative_to(place)) for path in photos]
        elif place.exists():
            found.append((place, Path(place.name)))
        else:
            raise PhotosError(f"there is no file or folder {place}")
    if not found:
        kinds = ", ".join((*SUFFIXES, *CONVERTED))
        raise PhotosError(
            f"no photograph among {', '.join(map(str, named))} ({others} other files): looked for {kinds}"
        )
    made = [Task(path, out / _renamed(name), str(name)) for path, name in found]
    twice: dict[Path, Task] = {}
    for task in made:
        if _same(task.source, task.result):
            raise PhotosError(f"--out {out} would overwrite {task.source}; name another folder")
        if (other := twice.setdefault(task.result, task)) is not task:
            raise PhotosError(f"{other.source} and {task.source} would both become {task.result}; enhance them apart")
    return made, others


def network_folder(path: Path, trial: str | None) -> Path:
    """The folder with the weights: `path` itself, or that of a print or a run. Raises PhotosError."""
    if (path / CONFIG).is_file():
        return path
    folder = path / WEIGHTS
    found = sorted(inside.name for inside in folder.iterdir() if (inside / CONFIG).is_file()) if folder.is_dir() else []
    fitting = [name for name in found if name.startswith(trial or "")]
    if not found:
        raise PhotosError(
            f"{path} holds no trained network: give a print (teststrip print), a run with confirmed trials, or one of "
            f"the folders in RUN/{WEIGHTS}"
        )
    if len(fitting) != 1:
        asked = f"--trial {trial}" if trial else f"{path} holds {len(found)} networks"
        raise PhotosError(f"{asked}: choose one with --trial from {', '.join(found)}")
    return folder / fitting[0]


def _files(folder: Path) -> list[Path]:
    found = []
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
        found += [Path(inside, name) for name in sorted(names) if not name.startswith(".")]
    return found


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in (*SUFFIXES, *CONVERTED)


def _renamed(name: Path) -> Path:
    return name if name.suffix.lower() in SUFFIXES else name.with_suffix(".jpg")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _inside(folder: Path, other: Path) -> bool:
    return other.resolve() in folder.resolve().parents
