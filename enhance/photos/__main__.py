"""`teststrip enhance NETWORK PHOTOS... --out DIR`: enhance photographs with a trained network."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from enhance.data import DataError
from enhance.data.reading.colors import eight_bits
from enhance.data.reading.pictures import PictureError, strict_pillow
from enhance.json_output import Parser, answer_text, error_text
from enhance.memory import available_bytes, lack_of_memory
from enhance.nets import Network
from enhance.photos.codec import QUALITY, Photograph, read, small_jpeg, write
from enhance.photos.page import LONGEST_PX, Pair, page
from enhance.photos.sources import PhotosError, Task, network_folder, tasks
from enhance.photos.tiles import Floats, Reach, enhanced, whole_bytes
from enhance.weights.files import WeightsError, read_description
from enhance.weights.network import load_network

PAGE = "compare.html"


@dataclass(frozen=True)
class Result:
    """One photograph: what it became, or why it became nothing."""

    photo: str
    output: Path
    width_px: int | None = None
    height_px: int | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    failure: str = ""


def main(argv: Sequence[str] | None = None, program: str = "python -m enhance.photos") -> int:
    """Return the exit status: 0; 1 if a photograph failed; 2 if the command was refused."""
    options = _parser(program).parse(argv)
    try:
        folder = network_folder(options.network.expanduser(), options.trial)
        wanted, others = tasks([path.expanduser() for path in options.photos], options.out.expanduser())
        net = load_network(folder, options.device)
        with strict_pillow():
            results, pairs = _enhance_all(net, wanted, options)
        if pairs:
            title = f"Before and after: {options.network.name} ({read_description(folder).net['net.family']})"
            (options.out.expanduser() / PAGE).write_text(page(title, pairs), encoding="utf-8")
    except (PhotosError, WeightsError, DataError, OSError) as error:
        kind = "system" if isinstance(error, OSError) else "config" if isinstance(error, WeightsError) else "usage"
        print(
            error_text(str(error), kind) if options.json else f"error: {error}",
            file=None if options.json else sys.stderr,
        )
        return 2
    made = options.out.expanduser() / PAGE if pairs else None
    numbers = {"network": folder, "other_files": others, "photos": results, "page": made}
    if options.json:
        print(answer_text("enhance", numbers))
    else:
        _say(results, others, options.out, made)
    return int(any(result.failure for result in results))


def _parser(program: str) -> Parser:
    parser = Parser(
        prog=program, description="Enhance photographs with a trained network. Originals are never changed."
    )
    add = parser.add_argument
    add(
        "network", metavar="NETWORK", type=Path, help="a print, a run with confirmed trials, or a folder in RUN/weights"
    )
    add(
        "photos",
        metavar="PHOTOS",
        type=Path,
        nargs="+",
        help="photographs, or folders of them, searched with subfolders",
    )
    add(
        "--out", metavar="DIR", type=Path, required=True, help="where the enhanced photographs go, under the same names"
    )
    add("--trial", metavar="ID", help="which network, if there are several (its first digits)")
    add("--compare", action="store_true", help=f"also write {PAGE}, with a slider over each photograph")
    add("--overwrite", action="store_true", help="make photographs again that are already in --out")
    add(
        "--quality",
        type=_quality,
        default=QUALITY,
        metavar="Q",
        help=f"of JPEG and WebP, 1 to 100 (default: {QUALITY})",
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", choices=("cpu", "cuda"), default=device, help=f"device to run on (default here: {device})")
    return parser


def _enhance_all(net: Network, wanted: Sequence[Task], options: argparse.Namespace) -> tuple[list[Result], list[Pair]]:
    reach = Reach.of(net)
    results, pairs = [], []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for task in progress.track(wanted, description="enhancing"):
            if task.result.exists() and not options.overwrite:
                results.append(Result(task.name, task.result, notes=("already there",)))
                continue
            result, pair = _enhance(net, reach, task, options)
            results.append(result)
            pairs += [pair] if pair is not None else []
            if result.failure:
                console.print(f"{task.source}: {result.failure}", markup=False, highlight=False, soft_wrap=True)
    return results, pairs


def _enhance(net: Network, reach: Reach, task: Task, options: argparse.Namespace) -> tuple[Result, Pair | None]:
    """Enhance one photograph. What is wrong with it is its own failure, and none of the others'."""
    began = time.perf_counter()
    try:
        photo = read(task.source)
        height, width = photo.srgb.shape[:2]
        if reach.px is None:
            _check_memory(net, height, width, options.device)
        output = enhanced(net, photo.srgb, reach)
        task.result.parent.mkdir(parents=True, exist_ok=True)
        write(photo, output, task.result, options.quality)
    except PictureError as error:
        return Result(task.name, task.result, failure=str(error)), None
    except (RuntimeError, MemoryError) as error:
        if not (lack := lack_of_memory(error)):
            raise
        return Result(task.name, task.result, failure=f"{lack}{error}"), None
    seconds = time.perf_counter() - began
    pair = _pair(task, photo, output) if options.compare else None
    return Result(task.name, task.result, width, height, seconds, photo.notes), pair


def _check_memory(net: Network, height_px: int, width_px: int, device: str) -> None:
    """Raise PictureError if a picture that must go through the network whole will not fit into memory."""
    free, needed = available_bytes(device), whole_bytes(net, height_px, width_px)
    if free is not None and needed > free:
        raise PictureError(
            "too large for this machine",
            f"this network sees the whole picture at once, which takes about {needed / 1e9:.1f} GB for {width_px}x"
            f"{height_px} px, and {free / 1e9:.1f} GB are free; reduce the photograph",
        )


def _pair(task: Task, photo: Photograph, output: Floats) -> Pair:
    before, after = eight_bits(photo.srgb), np.rint(255 * output).astype(np.uint8)
    return Pair(task.name, small_jpeg(before, LONGEST_PX), small_jpeg(after, LONGEST_PX))


def _say(results: Sequence[Result], others: int, out: Path, made: Path | None) -> None:
    there = sum("already there" in result.notes for result in results)
    failed = [result for result in results if result.failure]
    fresh = len(results) - there - len(failed)
    spent = [result.seconds for result in results if result.seconds is not None]
    pace = f", {sum(spent) / len(spent):.1f} s each" if spent else ""
    parts = [f"{fresh} enhanced{pace}", f"{there} already there" * bool(there), f"{len(failed)} failed" * bool(failed)]
    parts += [f"{others} other files passed over" * bool(others)]
    print(f"{', '.join(filter(None, parts))}: {out}")
    for note in sorted({note for result in results for note in result.notes} - {"already there"}):
        print(f"  {sum(note in result.notes for result in results)} {note}")
    if made is not None:
        print(f"page: {made}")


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 to 100")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
