"""Figures: a ledger in, a titled and captioned figure out, and the same files byte for byte from the same ledger."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.frontier import baseline, confirmed
from analysis.load import ENDINGS, Ledger, LedgerError, Objective
from analysis.plots import INK, Dimension, Points, plot_front, plot_pairs, plot_ranking
from analysis.statistics import Floats
from analysis.units import COSTS, metric_label, metric_unit

_WIDTH_IN = 8.5
_PLOT_IN = 4.4
_LINE_IN = 0.18
_MOST_ROWS = 30  # of a ranking
_MOST_KEYS = 12  # of a front


def frontier_figure(ledger: Ledger, frame: pd.DataFrame, objectives: Sequence[Objective]) -> Figure:
    """The figure of `frame` (as `frontier.ranked` gives it): a front of two objectives, or a ranking by one.

    Raises LedgerError for more objectives than a plane can hold.
    """
    if len(objectives) > 2:
        names = ", ".join(objective.metric for objective in objectives)
        raise LedgerError(f"a frontier plot holds 1 or 2 objectives, not {len(objectives)}; choose from {names}")
    if len(objectives) == 1:
        return _ranking(ledger, frame, objectives[0])
    figure, axes = _sheet(_question(ledger), [*_caption(ledger, frame), *_key(frame)], _PLOT_IN, left_in=0.85)
    x, y = (_dimension(ledger, frame, objective) for objective in objectives)
    plot_front(axes, x, y, frame["number"].to_numpy())
    _legend(axes)
    return figure


def comparison_figure(title: str, frame: pd.DataFrame, foot: Sequence[str]) -> Figure:
    """The figure of `frame` (as `papers.compared` gives it): time against MS-SSIM, the paper's hollow and ours filled.

    MS-SSIM is drawn as the distance from the mean over the networks that both sides have: its level depends on the
    pictures and on how long was trained, while the distances between networks are what is compared.
    """
    foot = [
        *(f"{line[0].upper()}{line[1:]}." for line in foot),
        "MS-SSIM is shown less the mean over the networks that both have. Bars: 95 % intervals of ours.",
    ]
    figure, axes = _sheet(title, foot, _PLOT_IN, left_in=0.85)
    theirs, ours = _points(frame, "paper", "FPIE"), _points(frame, "ours", "this run")
    names = ("time (\N{MULTIPLICATION SIGN} DPED)", "MS-SSIM above the mean")
    plot_pairs(axes, theirs, ours, frame["network"].tolist(), names)
    _legend(axes)
    return figure


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write STEM.png and STEM.svg without dates, versions or random names in them. Raises OSError."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with matplotlib.rc_context({"svg.hashsalt": "teststrip", "svg.fonttype": "path"}):
        figure.savefig(png, dpi=160, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def _ranking(ledger: Ledger, frame: pd.DataFrame, objective: Objective) -> Figure:
    shown = frame.head(_MOST_ROWS)
    caption = _caption(ledger, frame)
    if len(shown) < len(frame):
        caption.append(f"Shown: the best {len(shown)} of {len(frame)} configurations.")
    names = [textwrap.shorten(label, 60, placeholder=" ...") for label in shown["label"]]
    left_in = 0.3 + 0.068 * max(len(name) for name in names)
    figure, axes = _sheet(_question(ledger), caption, 0.3 + 0.22 * len(shown), left_in)
    plot_ranking(axes, _dimension(ledger, shown, objective), shown["number"].to_numpy(), names)
    _legend(axes)
    return figure


def _dimension(ledger: Ledger, frame: pd.DataFrame, objective: Objective) -> Dimension:
    metric = objective.metric
    parts = (frame[f"{part}.{metric}"].to_numpy(dtype=np.float64) for part in ("metric", "low", "high"))
    mean, low, high, last = (
        part / metric_unit(metric) for part in (*parts, _last_of_stopped(ledger, objective.column))
    )
    # What networks cost spans decades where their sizes do; scores of a decade or more are another matter.
    log = metric in COSTS and bool(np.nanmin(mean) > 0) and bool(np.nanmax(mean) > 10 * np.nanmin(mean))
    return Dimension(metric_label(metric), objective.maximize, mean, low, high, last, baseline(ledger, metric), log)


def _last_of_stopped(ledger: Ledger, column: str) -> Floats:
    stopped = ledger.trials.loc[ledger.trials["ending"] == "stopped", "trial"]
    reports = ledger.reports[ledger.reports["trial"].isin(stopped)].sort_values(["trial", "step"])
    return reports.drop_duplicates("trial", keep="last")[column].to_numpy(dtype=np.float64)


def _points(frame: pd.DataFrame, side: str, name: str) -> Points:
    mean = frame.loc[frame["both"], f"{side}.ms_ssim"].mean()
    known = frame["both"] if side == "ours" else pd.Series(True, index=frame.index)
    x, y = (_column(frame, f"{side}.{measure}", known) for measure in ("relative_time", "ms_ssim"))
    x_low, x_high, y_low, y_high = (
        _column(frame, f"{side}_{end}.{measure}", known)
        for measure in ("relative_time", "ms_ssim")
        for end in ("low", "high")
    )
    front = frame[f"{side}.front"].to_numpy(dtype=np.bool_)
    return Points(name, x, y - mean, front, x_low, x_high, y_low - mean, y_high - mean)


def _column(frame: pd.DataFrame, name: str, known: pd.Series) -> Floats:
    """A column where it is known, NaN elsewhere and where there is no such column (the paper has no intervals)."""
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return np.where(known, frame[name].to_numpy(dtype=np.float64), np.nan)


# --- the words ---------------------------------------------------------------------------------------------------


def _question(ledger: Ledger) -> str:
    return str(ledger.runs["question"].iloc[-1])


def _caption(ledger: Ledger, frame: pd.DataFrame) -> list[str]:
    counts = ledger.trials["ending"].value_counts()
    endings = ", ".join(f"{counts[ending]} {ending}" for ending in ENDINGS if ending in counts)
    seeds = int((frame["interval_over"] == "seeds").sum())
    images = len(frame) - seeds
    over = [f"seeds ({_configurations(seeds)})"] if seeds else []
    over += [f"validation images, one seed ({_configurations(images)})"] if images else []
    has = "high.latency_ratio" in frame.columns and frame["high.latency_ratio"].notna().any()
    timed = "; those of latency over rounds of timing" if has else ""
    return [
        f"{len(ledger.trials)} trials: {endings}.",
        f"Bars: 95 % intervals over {' or '.join(over)}{timed}.",
        f"Data: {ledger.runs['run.data_spec'].iloc[-1]}, {frame['images'].max()} validation images.",
        *_stage(ledger, frame),
    ]


def _stage(ledger: Ledger, frame: pd.DataFrame) -> list[str]:
    """Whether the points are results, or what the search picked results by."""
    if (frame["stage"] == "confirm").all():
        return ["Shown: the confirmed configurations only, by their scores on seeds that the search had not seen."]
    if confirmed(ledger) and (frame["stage"] == "search").all():
        return ["Shown: the search's own scores, which are too good for the best of them; confirmations are left out."]
    return []


def _configurations(count: int) -> str:
    return "1 configuration" if count == 1 else f"{count} configurations"


def _key(frame: pd.DataFrame) -> list[str]:
    """What the numbers on the front stand for, so that the picture can be read on its own."""
    members = frame[frame["front"]]
    lines = [f"{number}  {label}" for number, label in zip(members["number"], members["label"], strict=True)]
    left = len(lines) - _MOST_KEYS
    return ["", *lines[:_MOST_KEYS], *([f"... and {left} more on the front"] if left > 0 else [])]


# --- the sheet ---------------------------------------------------------------------------------------------------


def _sheet(title: str, foot: Sequence[str], plot_in: float, left_in: float) -> tuple[Figure, Axes]:
    """A figure that is as tall as its words need, around a plot that always has the height `plot_in`."""
    title_lines = textwrap.wrap(title, 74) or [""]
    foot_lines = [part for line in foot for part in (textwrap.wrap(line, 122, subsequent_indent="    ") or [""])]
    top_in = 0.2 + 0.26 * len(title_lines) + 0.32
    bottom_in = 0.62 + _LINE_IN * len(foot_lines) + 0.12
    height_in = top_in + plot_in + bottom_in
    figure = Figure(figsize=(_WIDTH_IN, height_in))
    box = (left_in / _WIDTH_IN, bottom_in / height_in, 1 - (left_in + 0.3) / _WIDTH_IN, plot_in / height_in)
    axes = figure.add_axes(box)
    figure.text(0.2 / _WIDTH_IN, 1 - 0.18 / height_in, "\n".join(title_lines), va="top", fontsize=13, color=INK,
                fontweight="bold", linespacing=1.25, parse_math=False)  # fmt: skip
    figure.text(0.2 / _WIDTH_IN, (bottom_in - 0.62) / height_in, "\n".join(foot_lines), va="top", fontsize=8.5,
                color="#555555", linespacing=1.35, parse_math=False)  # fmt: skip
    return figure, axes


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, fontsize=8.5, handletextpad=0.35,
                columnspacing=1.6, borderaxespad=0.2, borderpad=0.2)  # fmt: skip
