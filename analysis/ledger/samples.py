"""The scores of completed trials on single pictures, and the few output pictures that a ledger keeps, decoded."""

import io
from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from analysis.ledger.files import read_table
from analysis.ledger.load import Ledger, LedgerError
from analysis.ledger.schema import DATASETS

Pixels = NDArray[np.uint8]
"""A picture of shape (H, W, 3): RGB, sRGB values from 0 to 255."""

_KEY = list(DATASETS["samples"].key)


def sample_scores(ledger: Ledger) -> pd.DataFrame:
    """One row per completed trial and picture, in the order of the data.

    Columns: `trial`, `image` ("validation/N", or "photo/NAME#DIGEST"), `step`, `metric.M` for every metric M of this
    picture (photographs have none), `fixed` (every trial keeps this picture), `kept` (there is an output to show),
    `failure` (why a photograph has no output). Raises LedgerError if the run has no samples.
    """
    table = _table(ledger, _without_output)
    frame: pd.DataFrame = table.to_pandas().drop_duplicates(_KEY, ignore_index=True)
    return frame


def sample_pictures(ledger: Ledger, trials: Collection[str]) -> pd.DataFrame:
    """The pictures kept from `trials`, one row per trial and picture.

    Columns: `trial`, `image`, `fixed`, and `input`, `output`, `target` as uint8 arrays (H, W, 3); `target` is None for
    photographs and unpaired data. Raises LedgerError if the run has no samples.
    """
    wanted = pa.array(sorted(trials), pa.string())

    def outputs(part: pa.Table) -> pa.Table:
        # Rows are dropped file by file, before the next is read: encoded pictures fill most of a ledger.
        part = part.select([*_KEY, "fixed", "output"])
        return part.filter(pc.and_(pc.is_in(part["trial"], wanted), pc.is_valid(part["output"])))

    frame = _table(ledger, outputs).to_pandas().drop_duplicates(_KEY, ignore_index=True)
    originals = _originals(ledger, frame["image"])
    for column in ("input", "target"):
        frame[column] = [originals[image][column] for image in frame["image"]]
    frame["output"] = [_decode(encoded) for encoded in frame["output"]]
    result: pd.DataFrame = frame[[*_KEY, "fixed", "input", "output", "target"]]
    return result


def picture_name(image: str) -> str:
    """The name of a picture for people: "picture 17", or the file name of a photograph."""
    kind, _, name = image.partition("/")
    # The digest tells apart two photographs with the same file name.
    return f"picture {name}" if kind == "validation" else name.rpartition("#")[0]


def is_photo(image: str) -> bool:
    """Whether `image` names a whole photograph."""
    return image.startswith("photo/")


def _table(ledger: Ledger, each: Callable[[pa.Table], pa.Table]) -> pa.Table:
    table, notes = read_table(ledger.path, "samples", _KEY, each)
    if table is None:
        damaged = f" ({len(notes)} damaged files were skipped)" if notes else ""
        raise LedgerError(
            f"{ledger.path} holds no samples of pictures{damaged}: its sweep kept none (--samples 0), predates "
            "samples, or completed no trial; run the sweep into another --out, with --samples 4",
            notes,
        )
    return table


def _without_output(part: pa.Table) -> pa.Table:
    """The scores of one file, dropping its pictures before the next file is read: they are large."""
    return part.append_column("kept", pc.is_valid(part["output"])).drop_columns("output")


def _originals(ledger: Ledger, images: pd.Series) -> dict[str, dict[str, Pixels | None]]:
    wanted = pa.array(sorted(set(images)), pa.string())
    table, notes = read_table(
        ledger.path, "originals", DATASETS["originals"].key, lambda part: part.filter(pc.is_in(part["image"], wanted))
    )
    found: dict[str, dict[str, Pixels | None]] = {}
    for row in [] if table is None else table.to_pylist():
        found.setdefault(row["image"], {side: _decode(row[side]) for side in ("input", "target")})
    missing = sorted(set(images) - set(found))
    if missing:
        raise LedgerError(f"{ledger.path / 'originals'} lacks {', '.join(missing)}, to which samples refer", notes)
    return found


def _decode(encoded: bytes | None) -> Pixels | None:
    if encoded is None:
        return None
    pixels: Pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    return pixels
