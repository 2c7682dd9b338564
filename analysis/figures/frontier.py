"""The figure of `analysis frontier`."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures.sheet import PLOT_IN, legend, sheet
from analysis.frontier import baseline, confirmed
from analysis.load import ENDINGS, Ledger, LedgerError, Objective
from analysis.plots.front import Dimension, plot_front, plot_ranking
from analysis.units import COSTS, metric_label, metric_unit

_MOST_ROWS = 30  # of a ranking
_MOST_KEYS = 12  # of a front
_MOST_DOTS = 2000  # beside the front, and of stopped trials: more of them hide each other


def frontier_figure(ledger: Ledger, frame: pd.DataFrame, objectives: Sequence[Objective]) -> Figure:
    """The figure of `frame` (as `frontier.ranked` gives it): a front of two objectives, or a ranking by one.

    Raises LedgerError for more objectives than a plane can hold.
    """
    if len(objectives) > 2:
        names = ", ".join(objective.metric for objective in objectives)
        raise LedgerError(f"a frontier plot holds 1 or 2 objectives, not {len(objectives)}; choose from {names}")
    if len(objectives) == 1:
        return _ranking(ledger, frame, objectives[0])
    some, stopped, words = _drawn(ledger, frame)
    figure, axes = sheet(_question(ledger), [*_caption(ledger, frame), *words, *_key(frame)], PLOT_IN, left_in=0.85)
    x, y = (_dimension(ledger, some, objective, stopped) for objective in objectives)
    plot_front(axes, x, y, some["number"].to_numpy())
    legend(axes)
    return figure


def _ranking(ledger: Ledger, frame: pd.DataFrame, objective: Objective) -> Figure:
    shown = frame.head(_MOST_ROWS)
    caption = _caption(ledger, frame)
    if len(shown) < len(frame):
        caption.append(f"Shown: the best {len(shown)} of {len(frame)} configurations.")
    names = [textwrap.shorten(label, 60, placeholder=" ...") for label in shown["label"]]
    left_in = 0.3 + 0.068 * max(len(name) for name in names)
    figure, axes = sheet(_question(ledger), caption, 0.3 + 0.22 * len(shown), left_in)
    plot_ranking(axes, _dimension(ledger, shown, objective), shown["number"].to_numpy(), names)
    legend(axes)
    return figure


def _drawn(ledger: Ledger, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The rows of `frame` and the stopped trials that are drawn, and what is to be said where these are not all.

    The front is drawn whole, of the rest an even sample, the same every time.
    """
    rest = np.flatnonzero(~frame["front"])
    kept = _even(rest.size, _MOST_DOTS)
    some = frame.iloc[np.sort(np.concatenate([np.flatnonzero(frame["front"]), rest[kept]]))]
    trials = ledger.read("trials", ["ending", "metric.*"])  # the row of a trial holds what it reported last
    stopped = trials[trials["ending"] == "stopped"]
    few = stopped.iloc[_even(len(stopped), _MOST_DOTS)]
    counts = ((kept.size, rest.size, "other configurations"), (len(few), len(stopped), "stopped trials"))
    words = [f"{shown:,} of {count:,} {what}" for shown, count, what in counts if shown < count]
    return some, few, [f"Drawn: the whole front, and {' and '.join(words)}, an even sample."] if words else []


def _even(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the numbers 0 to `count` - 1, drawn at random from a fixed seed, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _dimension(
    ledger: Ledger, frame: pd.DataFrame, objective: Objective, stopped: pd.DataFrame | None = None
) -> Dimension:
    metric = objective.metric
    parts = [frame[f"{part}.{metric}"].to_numpy(dtype=np.float64) for part in ("metric", "low", "high")]
    ends = np.empty(0) if stopped is None else stopped[objective.column].to_numpy(dtype=np.float64)
    mean, low, high, last = (part / metric_unit(metric) for part in (*parts, ends))
    # What networks cost spans decades where their sizes do; scores of a decade or more are another matter.
    log = metric in COSTS and bool(np.nanmin(mean) > 0) and bool(np.nanmax(mean) > 10 * np.nanmin(mean))
    return Dimension(metric_label(metric), objective.maximize, mean, low, high, last, baseline(ledger, metric), log)


# --- the words ---------------------------------------------------------------------------------------------------


def _question(ledger: Ledger) -> str:
    return str(ledger.runs["question"].iloc[-1])


def _caption(ledger: Ledger, frame: pd.DataFrame) -> list[str]:
    counts = ledger.read("trials", ["ending"])["ending"].value_counts()
    endings = ", ".join(f"{counts[ending]} {ending}" for ending in ENDINGS if ending in counts)
    seeds = int((frame["interval_over"] == "seeds").sum())
    images = len(frame) - seeds
    over = [f"seeds ({_configurations(seeds)})"] if seeds else []
    over += [f"validation images, one seed ({_configurations(images)})"] if images else []
    has = "high.latency_ratio" in frame.columns and frame["high.latency_ratio"].notna().any()
    timed = "; those of latency over rounds of timing" if has else ""
    return [
        f"{counts.sum()} trials: {endings}.",
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
