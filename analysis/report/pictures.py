"""Crops and photographs of the networks' outputs, embedded in the page as small JPEGs."""

import base64
import io
from typing import Any

import pandas as pd
from PIL import Image

from analysis.images.answer import Gallery
from analysis.images.figure import spread
from analysis.ledger.samples import Pixels, picture_name
from analysis.report.blocks import Strip

MOST_NETWORKS, MOST_CROPS = 10, 3
"""At most this many networks of a front are shown, with this many crops each."""

MOST_PHOTOS, MOST_PHOTO_NETWORKS = 3, 4
"""At most this many photographs are shown, each as this many networks enhance it."""

MOST_PX, MOST_PHOTO_PX = 192, 640
"""Longer side of a crop and of a photograph on the page; larger ones are scaled down."""

# JPEG without color subsampling: off by 1.2 to 1.6 of 255 levels on average, at a third of the bytes of a PNG.
_QUALITY = 92


def crops(found: Gallery | None) -> dict[str, Any] | None:
    """The crops for the scripts; None where there are none.

    `images` has for each crop `name`, `input` and `target` (data URLs; target null without a pair), `size` in px and
    `score` (PSNR of the input). `networks` has for each network `name`, `configuration`, `trial`, `label`, `seed` and,
    by crop, `outputs` and `scores`. Scores are in dB, null without a target.
    """
    if found is None or not found.crops:
        return None
    chosen = spread(found.crops, MOST_CROPS)
    networks = found.networks.to_dict("records")
    first = str(networks[0]["name"])
    return {
        "images": [_original(found, first, image) for image in chosen],
        "networks": [
            {name: row[name] for name in ("name", "configuration", "trial", "label", "seed")}
            | {"outputs": [data_url(_kept(found, row["name"], image)["output"]) for image in chosen]}
            | {"scores": [_score(found, row["name"], image, "metric.psnr_db") for image in chosen]}
            for row in networks
        ],
    }


def photo_strips(found: Gallery) -> list[Strip]:
    """A strip for each photograph: as it was taken, and as the networks enhance it."""
    return [_strip(found, photo) for photo in spread(found.photos, MOST_PHOTOS)]


def data_url(pixels: Pixels, most_px: int = MOST_PX) -> str:
    """A picture (H, W, 3) as a JPEG in a data URL, at most `most_px` high and wide."""
    picture, packed = Image.fromarray(pixels), io.BytesIO()
    # `thumbnail` only shrinks, and keeps the proportions.
    picture.thumbnail((most_px, most_px), Image.Resampling.LANCZOS)
    picture.save(packed, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _strip(found: Gallery, photo: str) -> Strip:
    every = [(row, found.picture(row["name"], photo)) for row in found.networks.to_dict("records")]
    kept = [(f"network {row['name']}", picture) for row, picture in every if picture is not None]
    # Of the networks that enhanced this photograph: a failure must not leave a gap.
    names = spread([name for name, _ in kept], MOST_PHOTO_NETWORKS)
    shown = [("phone", kept[0][1]["input"]), *((name, own["output"]) for name, own in kept if name in names)]
    few = f" by {len(names)} of {len(kept)} networks" if len(names) < len(kept) else ""
    caption = f"{picture_name(photo)}, as it was taken and as enhanced{few}."
    return Strip(caption, [(data_url(pixels, MOST_PHOTO_PX), name) for name, pixels in shown])


def _original(found: Gallery, network: str, image: str) -> dict[str, Any]:
    kept = _kept(found, network, image)
    height, width = kept["input"].shape[:2]
    return {
        "name": picture_name(image),
        "input": data_url(kept["input"]),
        "target": None if kept["target"] is None else data_url(kept["target"]),
        "size": [width, height],
        "score": _score(found, network, image, "untouched.psnr_db"),
    }


def _kept(found: Gallery, network: str, image: str) -> "pd.Series[Any]":
    kept = found.picture(network, image)
    assert kept is not None, f"{image} is not kept for every network"
    return kept


def _score(found: Gallery, network: str, image: str, column: str) -> float | None:
    if column not in found.numbers.columns:
        return None
    own = found.numbers[(found.numbers["name"] == network) & (found.numbers["image"] == image)]
    return float(own[column].iloc[0])
