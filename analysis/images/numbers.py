"""Statistics of pictures: errors, colors, and the best and worst case of every network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.ledger.samples import is_photo
from analysis.statistics.pictures import absolute_error, color_histogram, histogram_distance


def picture_numbers(networks: pd.DataFrame, scores: pd.DataFrame, pictures: pd.DataFrame) -> pd.DataFrame:
    """One row per network and validation picture.

    `networks` and `pictures` are those of a `Gallery`; `scores` has a row per network (`name`) and `image`. Columns:
    those of `networks`; `image`, `fixed`, `kept`; `metric.M` of the picture and `untouched.psnr_db` of its untouched
    input; for kept pictures `l1` (mean absolute error, in levels 0 to 255) and `color_distance` (mean distance of the
    color histograms from the target's, in levels), and both of the input as `untouched.l1` and
    `untouched.color_distance`. NaN if there is no picture or no target.
    """
    frame = networks.merge(scores, on="name")
    if "metric.psnr_gain_db" in frame.columns:
        # Samples record the gain over the input, not the score of the input itself.
        frame["untouched.psnr_db"] = frame["metric.psnr_db"] - frame["metric.psnr_gain_db"]
    known = pictures[pictures["target"].notna() & ~pictures["image"].map(is_photo)]
    measured = pd.DataFrame(
        [{"name": row["name"], "image": row["image"], **_measure([row])} for row in known.to_dict("records")],
        columns=["name", "image", "l1", "untouched.l1", "color_distance", "untouched.color_distance"],
    )
    # A left join: all pictures have scores, but few were kept.
    result: pd.DataFrame = frame.merge(measured, on=["name", "image"], how="left")
    return result


def picture_summary(numbers: pd.DataFrame, pictures: pd.DataFrame, crops: Sequence[str]) -> pd.DataFrame:
    """Statistics over the validation pictures: a row for the untouched input (`name` "input"), then one per network.

    `numbers` as `picture_numbers` gives it; `crops` name the pictures that all networks have in `pictures`. Columns:
    `name`, `label`, `seed`, `images` (how many), `psnr_db`, `worst_db`, `worst` (which picture), `best_db`, `best`,
    `better` (how many pictures are nearer to their target than the input is), and over the crops `l1` and
    `color_distance` of all of them together, in levels of 255. Needs pairs.
    """
    rows: list[dict[str, Any]] = []
    for name in numbers["name"].unique():
        own = numbers[numbers["name"] == name]
        shown = pictures[(pictures["name"] == name) & pictures["image"].isin(crops)].to_dict("records")
        measured = _measure(shown) if shown else {}
        # The input is the same for all networks, so the first one's rows tell its numbers.
        if not rows:
            rows.append({"name": "input", "label": "the untouched input", **_cases(own, "untouched.psnr_db"),
                         **_over_crops(measured, "untouched.")})  # fmt: skip
        better = int((own["metric.psnr_db"] > own["untouched.psnr_db"]).sum())
        of_network = {"label": own["label"].iloc[0], "seed": own["seed"].iloc[0], "better": better}
        rows.append({"name": name, **of_network, **_cases(own, "metric.psnr_db"), **_over_crops(measured, "")})
    # Nullable integers: the input has no seed, and floats would read "seed 0.0".
    return pd.DataFrame(rows).astype({"seed": "Int64", "better": "Int64"})


def _cases(own: pd.DataFrame, column: str) -> dict[str, Any]:
    worst, best = own.iloc[int(own[column].argmin())], own.iloc[int(own[column].argmax())]
    return {
        "images": len(own), "psnr_db": own[column].mean(), "worst_db": worst[column], "worst": worst["image"],
        "best_db": best[column], "best": best["image"],
    }  # fmt: skip


def _over_crops(measured: dict[str, float], prefix: str) -> dict[str, float]:
    return {name: measured.get(f"{prefix}{name}", np.nan) for name in ("l1", "color_distance")}


def _measure(rows: Sequence[dict[Any, Any]]) -> dict[str, float]:
    """Errors and color distances of pictures of one network, all of them together."""
    target = color_histogram(*(row["target"] for row in rows))
    found = {}
    for prefix, side in (("", "output"), ("untouched.", "input")):
        errors = [absolute_error(row[side], row["target"]).mean() for row in rows]
        colors = color_histogram(*(row[side] for row in rows))
        found[f"{prefix}l1"] = float(np.mean(errors))
        found[f"{prefix}color_distance"] = float(histogram_distance(colors, target).mean())
    return found
