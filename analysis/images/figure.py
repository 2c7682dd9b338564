"""The figures of `analysis images`, with a column for the input, each network, and the target."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing.sheet import Page
from analysis.images.answer import Gallery
from analysis.images.plot import (
    channel_name,
    histogram_shares,
    mark_window,
    plot_error,
    plot_error_scale,
    plot_histograms,
    plot_missing,
    plot_picture,
)
from analysis.ledger.samples import Pixels, picture_name
from analysis.statistics.pictures import absolute_error, color_histogram, detailed_window, histogram_distance

MOST_CROPS = 4
WINDOW_PX = 160
"""The side of the part of a photograph that is shown enlarged."""

# The resolution of `sheet.save`, so that crops get a whole number of dots per pixel.
_DPI = 160
_GAP_IN, _LABEL_IN, _EDGE_IN, _LINE_IN = 0.07, 0.3, 0.3, 0.2
_SCALE_PERCENTILE = 99.0
_NARROWEST_IN = 6.0
_DISTANCE = "distance: by how many levels pixels must shift on average to match the target's distribution."


def crops_figure(title: str, found: Gallery) -> Figure:
    """Crops of the validation set, each a row of pictures and, where there are targets, a row of their L1 errors."""
    crops, names = spread(found.crops, MOST_CROPS), list(found.networks["name"])
    columns = ["input", *names, *(["target"] if found.paired else [])]
    errors = _errors(found, crops, names) if found.paired else {}
    most = _scale(errors.values())
    cell = _cell_in(found, crops)
    row_in = (cell + _LINE_IN) * (2 if found.paired else 1) + 0.1
    page = Page(title, _crops_foot(found, crops, most), row_in * len(crops) + _LINE_IN, _width_in(len(columns), cell))
    _headers(page, columns, cell)
    for number, image in enumerate(crops):
        top = _LINE_IN + number * row_in
        _side_label(page, top + cell / 2, picture_name(image))
        for column, name in enumerate(columns):
            plot_picture(_cell(page, column, top, cell), _pixels(found, names, name, image), _score(found, name, image))
        if not found.paired:
            continue
        below = top + cell + _LINE_IN
        _side_label(page, below + cell / 2, "L1 error")
        # The target has no error; the scale takes its place in the first row.
        for column, name in enumerate(columns[:-1]):
            error = errors[name, image]
            plot_error(_cell(page, column, below, cell), error, most, f"mean {error.mean():.1f}")
        if number == 0:
            left = _left_in(len(columns) - 1, cell) + 0.12
            plot_error_scale(page.axes(left, below, 0.13, cell), most)
    return page.figure


def colors_figure(title: str, found: Gallery) -> Figure:
    """The distribution of levels in each channel over the crops that all networks share, a row per network."""
    crops, names = found.crops, list(found.networks["name"])
    wide, high, gap = 2.45, 1.25, 0.36
    foot = [
        f"Over {len(crops)} crops of the validation set, the same for all: share of pixels per 4 of 256 levels, in %.",
        "Clipping fills the bins at black and white, which may exceed the axis.",
        *([_DISTANCE] if found.paired else []),
        *_key(found),
    ]
    page = Page(title, foot, len(names) * (high + gap) + 0.15, below_in=0.2)
    histograms = {name: _histograms(found, name, crops) for name in names}
    every = [
        histogram_shares(one[channel]) for own in histograms.values() for one in own.values() for channel in range(3)
    ]
    top_percent = _top_of(every)
    for row, name in enumerate(names):
        for channel in range(3):
            axes = page.axes(0.75 + channel * (wide + 0.15), 0.1 + row * (high + gap), wide, high)
            plot_histograms(axes, channel, histograms[name], _distances(histograms[name], channel), top_percent)
            if channel:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel(f"{_heading(name)}\n% of pixels", fontsize=8.5)
            if row == 0:
                axes.set_title(channel_name(channel), loc="left", fontsize=9.5, fontweight="bold", pad=3)
            if row == 0 and channel == 1:
                axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.14), ncols=3, frameon=False, fontsize=8.5)
    return page.figure


def extremes_figure(title: str, found: Gallery) -> Figure:
    """The best and the worst validation picture of every network by PSNR, a row per network. Needs pairs."""
    names = list(found.networks["name"])
    cell = _cell_in(found, found.crops or list(found.pictures["image"]))
    row_in = cell + 2 * _LINE_IN + 0.05
    group = 3 * (cell + _GAP_IN) + 0.2
    page = Page(
        title, _extremes_foot(found), row_in * len(names) + 2 * _LINE_IN, _LABEL_IN + 2 * _EDGE_IN + 2 * group - 0.2
    )
    for side, words in enumerate(("best", "worst")):
        left = _EDGE_IN + _LABEL_IN + side * group
        page.text(left, 0, f"{words} case", fontsize=9.5, fontweight="bold", va="top")
        for column, header in enumerate(("input", "output", "target")):
            page.text(
                left + column * (cell + _GAP_IN) + cell / 2, _LINE_IN, header, fontsize=8.5, ha="center", va="top"
            )
    for row, name in enumerate(names):
        top = 2 * _LINE_IN + row * row_in
        _side_label(page, top + cell / 2, _heading(name))
        own = found.numbers[found.numbers["name"] == name]
        for side, place in enumerate((own["metric.psnr_db"].idxmax(), own["metric.psnr_db"].idxmin())):
            left = _EDGE_IN + _LABEL_IN + side * group
            case = own.loc[place]
            scores = (
                f"{case['untouched.psnr_db']:.2f} dB",
                f"{case['metric.psnr_db']:.2f} dB",
                picture_name(case["image"]),
            )
            kept = found.picture(name, case["image"])
            for column, (part, below) in enumerate(zip(("input", "output", "target"), scores, strict=True)):
                axes = page.axes(left + column * (cell + _GAP_IN), top, cell, cell)
                if kept is None:
                    plot_missing(axes, "not kept")
                else:
                    plot_picture(axes, kept[part], below, bold=part == "output")
    return page.figure


def photo_figure(title: str, found: Gallery, photo: str, corner: tuple[int, int] | None = None) -> Figure:
    """One photograph as every network enhances it, and a square part of it enlarged.

    `corner` is the part's left and top in px; by default the part with the most detail.
    """
    # Every network has the same input, so any row of the photograph will do.
    first = next(row for row in found.pictures.to_dict("records") if row["image"] == photo)
    original: Pixels = first["input"]
    height, width = original.shape[:2]
    side = min(WINDOW_PX, height, width)
    top_px, left_px = detailed_window(original, side) if corner is None else (corner[1], corner[0])
    # A corner near the edge is moved inward until the part fits.
    top_px, left_px = min(top_px, height - side), min(left_px, width - side)
    columns = ["input", *found.networks["name"]]
    # Two dots per pixel, as far as the page allows.
    wide = min(2 * side / _DPI, 2.4)
    high = wide * height / width
    part = f"below it the marked {side} x {side} px from ({left_px}, {top_px})"
    foot = [f"{picture_name(photo)}, {width} x {height} px, whole; {part}.", *_key(found)]
    page = Page(title, foot, high + wide + 0.35, _width_in(len(columns), wide))
    _headers(page, columns, wide)
    for column, name in enumerate(columns):
        kept = first if name == "input" else found.picture(name, photo)
        places = [_cell(page, column, _LINE_IN, wide, high), _cell(page, column, _LINE_IN + high + _GAP_IN, wide)]
        if kept is None:
            plot_missing(places[0], "not enhanced")
            plot_missing(places[1], "")
            continue
        pixels: Pixels = kept["input" if name == "input" else "output"]
        mark_window(plot_picture(places[0], pixels), top_px, left_px, side)
        plot_picture(places[1], pixels[top_px : top_px + side, left_px : left_px + side])
    return page.figure


def spread(images: Sequence[str], most: int) -> list[str]:
    """At most `most` of `images`, evenly spread."""
    # Unlike a front, a list of pictures has no ends that must be shown.
    if len(images) <= most:
        return list(images)
    # The middle of each of `most` equal parts.
    return [images[(2 * part + 1) * len(images) // (2 * most)] for part in range(most)]


# --- the numbers -------------------------------------------------------------------------------------------------


def _pixels(found: Gallery, names: Sequence[str], name: str, image: str) -> Pixels:
    kept = found.picture(names[0] if name in ("input", "target") else name, image)
    assert kept is not None, f"{image} is not kept of every network"
    pixels: Pixels = kept[name if name in ("input", "target") else "output"]
    return pixels


def _errors(found: Gallery, crops: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The L1 error maps of the input and of every network, by column and image."""
    return {
        (name, image): absolute_error(_pixels(found, names, name, image), _pixels(found, names, "target", image))
        for name in ("input", *names)
        for image in crops
    }


def _scale(errors: Iterable[NDArray[np.float64]]) -> float:
    """Upper end of the error scale, in levels: above 99 % of the pixels, so that outliers do not darken the rest."""
    pixels = [error.ravel() for error in errors]
    # Rounded up to a multiple of 5, which reads well on the scale.
    return float(max(5, 5 * np.ceil(np.percentile(np.concatenate(pixels), _SCALE_PERCENTILE) / 5))) if pixels else 0.0


def _score(found: Gallery, name: str, image: str) -> str:
    if not found.paired or name == "target":
        return ""
    own = found.numbers[found.numbers["image"] == image]
    if name == "input":
        return f"{own['untouched.psnr_db'].iloc[0]:.2f} dB"
    return f"{own.loc[own['name'] == name, 'metric.psnr_db'].iloc[0]:.2f} dB"


def _histograms(found: Gallery, name: str, crops: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    sides = ("input", "output", "target") if found.paired else ("input", "output")
    kept = found.pictures[(found.pictures["name"] == name) & found.pictures["image"].isin(crops)]
    return {side: color_histogram(*kept[side]) for side in sides}


def _distances(histograms: dict[str, NDArray[np.int64]], channel: int) -> str:
    if "target" not in histograms:
        return ""
    found = {side: histogram_distance(histograms[side], histograms["target"])[channel] for side in ("input", "output")}
    return "distance: " + ", ".join(f"{side} {value:.1f}" for side, value in found.items())


def _top_of(shares: Sequence[NDArray[np.float64]]) -> float:
    """The end of the axis of shares: above all but the bins at black and white, which clipping fills."""
    return 1.08 * max(float(share[1:-1].max()) for share in shares)


# --- the places --------------------------------------------------------------------------------------------------


def _cell_in(found: Gallery, images: Sequence[str]) -> float:
    side = max(found.pictures.loc[found.pictures["image"] == images[0], "input"].iloc[0].shape[:2])
    # A whole number of dots per pixel, at least 200 dots wide: crops are shown without resampling.
    return float(np.ceil(200 / side) * side / _DPI)


def _width_in(columns: int, cell: float) -> float:
    return max(_NARROWEST_IN, 2 * _EDGE_IN + _LABEL_IN + columns * (cell + _GAP_IN))


def _left_in(column: int, cell: float) -> float:
    return _EDGE_IN + _LABEL_IN + column * (cell + _GAP_IN)


def _cell(page: Page, column: int, top: float, wide: float, high: float | None = None) -> Axes:
    return page.axes(_left_in(column, wide), top, wide, wide if high is None else high)


def _headers(page: Page, columns: Sequence[str], cell: float) -> None:
    for column, name in enumerate(columns):
        text = name if name in ("input", "target") else _heading(name)
        page.text(_left_in(column, cell) + cell / 2, 0, text, fontsize=9.5, fontweight="bold", ha="center", va="top")


def _side_label(page: Page, middle_in: float, text: str) -> None:
    page.text(_EDGE_IN + _LABEL_IN - 0.1, middle_in, text, fontsize=8.5, rotation=90, ha="center", va="center")


# --- the words ---------------------------------------------------------------------------------------------------


def _crops_foot(found: Gallery, crops: Sequence[str], most: float) -> list[str]:
    count = found.numbers["image"].nunique()
    lines = [f"{len(crops)} of {count} validation pictures, chosen before training, the same for all."]
    if found.paired:
        lines += [
            "Below each picture: its PSNR. L1 error: absolute difference from the target, averaged over the channels.",
            f"All maps share one scale, which ends at {most:.0f} levels, above 99 % of the pixels.",
        ]
    return [*lines, *_key(found)]


def _extremes_foot(found: Gallery) -> list[str]:
    summaries = []
    for name, own in found.numbers.groupby("name", sort=False):
        low, middle, high = (own["metric.psnr_db"].quantile(part) for part in (0.1, 0.5, 0.9))
        summaries.append(f"network {name}: median {middle:.1f} dB, 80 % within {low:.1f} to {high:.1f}")
    count = found.numbers["image"].nunique()
    return [
        f"By PSNR, of {count} validation pictures. " + "; ".join(summaries) + ".",
        "PSNR is at most 58.92 dB, the limit of 8-bit rounding.",
        *_key(found),
    ]


def _heading(name: str) -> str:
    """What stands above a network's pictures: a trial's digits leave no room for a word."""
    return f"network {name}" if len(name) <= 3 else name


def _key(found: Gallery) -> list[str]:
    """A key to the numbers of the networks."""
    several = found.networks["run"].nunique() > 1
    rows = found.networks.to_dict("records")

    def prefix(row: dict[Any, Any]) -> str:
        return f"{row['run']}: " if several else ""

    return ["", *(f"{row['name']}  {prefix(row)}{row['label']} (seed {row['seed']})" for row in rows)]
