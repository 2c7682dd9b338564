"""Ledgers with sample pictures, written with only Pillow and pyarrow: an independent statement of the contract."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
PHOTO = "photo/garden.jpg#0123abcd"
FIXED = (3, 9)


def png(pixels: Pixels) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def scene(seed: int, height: int = 20, width: int = 20) -> Pixels:
    """A picture with large areas, an edge and some noise."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[0:height, 0:width]
    base = 60 + 90 * (down > height * rng.uniform(0.3, 0.7)) + 40 * (right / width)
    picture = base[..., None] + rng.uniform(-30, 30, 3) + rng.normal(0, 4, (height, width, 3))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def darker(pixels: Pixels, levels: float) -> Pixels:
    return np.clip(np.rint(pixels.astype(float) - levels), 0, 255).astype(np.uint8)


def psnr_db(first: Pixels, second: Pixels) -> float:
    error = np.square(first.astype(float) / 255 - second.astype(float) / 255).mean()
    return float(min(58.92, -10 * np.log10(error))) if error else 58.92


def write_table(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    types = {"input": pa.binary(), "target": pa.binary(), "output": pa.binary()}
    arrays = {
        name: pa.array(values, type=types.get(name, pa.float64() if name.startswith("metric.") else None))
        for name, values in columns.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(arrays).replace_schema_metadata({b"teststrip.schema": b"1"})
    pq.write_table(table, path, write_page_checksum=True)


def add_samples(
    run: Path, shifts: Mapping[str, Sequence[float]], photo: Pixels | None = None, paired: bool = True
) -> Path:
    """Samples of 12 pictures of each trial of `shifts`: its output of picture i is the target, darker by shifts[i].

    The inputs are darker by 40 levels. Pictures 3 and 9 are fixed; the best and the worst of each trial are kept too.
    """
    targets = [scene(index) for index in range(12)]
    shown: set[int] = set()
    for trial, levels in shifts.items():
        outputs = [darker(target, level) for target, level in zip(targets, levels, strict=True)]
        scores = [psnr_db(output, target) for output, target in zip(outputs, targets, strict=True)]
        untouched = [psnr_db(darker(target, 40), target) for target in targets]
        kept = {*FIXED, int(np.argmax(scores)), int(np.argmin(scores))} if paired else set(FIXED)
        shown |= kept
        columns: dict[str, list[object]] = {
            "trial": [trial] * 12,
            "image": [f"validation/{index}" for index in range(12)],
            "step": [600] * 12,
            "fixed": [index in FIXED for index in range(12)],
            "output": [png(outputs[index]) if index in kept else None for index in range(12)],
            "failure": [""] * 12,
        }
        if paired:
            columns["metric.psnr_db"] = list(scores)
            columns["metric.psnr_gain_db"] = [a - b for a, b in zip(scores, untouched, strict=True)]
        if photo is not None:
            more = {"trial": trial, "image": PHOTO, "step": 600, "fixed": True, "failure": ""}
            more["output"] = png(darker(photo, levels[0]))  # type: ignore[assignment]
            for name, values in columns.items():
                values.append(more.get(name))
        write_table(run / "samples" / f"{trial}.parquet", columns)
    images = [f"validation/{index}" for index in sorted(shown)]
    inputs: list[bytes] = [png(darker(targets[index], 40)) for index in sorted(shown)]
    sides: list[bytes | None] = [png(targets[index]) if paired else None for index in sorted(shown)]
    if photo is not None:
        images, inputs, sides = [*images, PHOTO], [*inputs, png(photo)], [*sides, None]
    write_table(run / "originals" / "0001.parquet", {"image": images, "input": inputs, "target": sides})
    return run
