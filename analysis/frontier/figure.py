"""The figure of `analysis frontier`."""

import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing.sheet import PLOT_IN, WIDE_IN, grid, legend, sheet
from analysis.frontier.configurations import has_confirmations, untouched
from analysis.frontier.plot import Dimension, plot_front, plot_paper_points, plot_ranking, plot_rings
from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.names import run_names
from analysis.ledger.schema import ENDINGS
from analysis.ledger.units import COSTS, counted, metric_label, metric_unit, sentence

_MOST_OBJECTIVES = 3
_MOST_ROWS = 30  # of a ranking
_MOST_KEYS = 12  # of a front
_MOST_DOTS = 2000  # off the front, and of stopped trials: more would hide each other and swell the SVG


def frontier_figure(
    ledgers: Sequence[Ledger],
    frame: pd.DataFrame,
    objectives: Sequence[Objective],
    said: Sequence[str] = (),
    paper: pd.DataFrame | None = None,
) -> Figure:
    """The figure of `frame` (as `rank` gives it): one objective as a ranking, two as a front, three as pairs of two.

    `run` of a row is the index of its ledger. The sentences of `said` go into the caption. `paper` (see
    `paper.answer.paper_points`) adds a published table's points to a front of two objectives. Raises LedgerError for
    more than three objectives.
    """
    if len(objectives) > _MOST_OBJECTIVES:
        names = ", ".join(objective.metric for objective in objectives)
        raise LedgerError(
            f"a frontier plot holds 1 to {_MOST_OBJECTIVES} objectives, not {len(objectives)}; choose from {names}"
        )
    if len(objectives) == 1:
        return _ranking(ledgers, frame, objectives[0], said)
    some, stopped, words = _thin_out(ledgers, frame)
    foot = [*_caption(ledgers, frame), *words, *(f"{sentence(text)}." for text in said), *_key(frame)]
    dimensions = [_dimension(ledgers[0], some, objective, stopped) for objective in objectives]
    number, called = some["number"].to_numpy(), run_names([ledger.path for ledger in ledgers])
    if len(objectives) == 2:
        figure, axes = sheet(_question(ledgers), foot, PLOT_IN, left_in=0.85)
        places = [axes]
    else:
        figure, rows = grid(_question(ledgers), foot, 1, 3, 3.1, width_in=WIDE_IN, above_in=0.3)
        places = rows[0]
    # Two objectives make one pair, three make three.
    for place, (x, y) in zip(places, itertools.combinations(dimensions, 2), strict=True):
        plot_front(place, x, y, number, joined=len(objectives) == 2)
        plot_rings(place, x, y, some["run"].to_numpy(), called)
        if paper is not None:
            plot_paper_points(place, *(paper[objective.metric].to_numpy() for objective in objectives))
    legend(places[0])
    return figure


def _ranking(ledgers: Sequence[Ledger], frame: pd.DataFrame, objective: Objective, said: Sequence[str]) -> Figure:
    shown = frame.head(_MOST_ROWS)
    caption = [*_caption(ledgers, frame), *(f"{sentence(text)}." for text in said)]
    if len(shown) < len(frame):
        caption.append(f"Shown: the best {len(shown)} of {len(frame)} configurations.")
    names = [textwrap.shorten(label, 60, placeholder=" ...") for label in shown["label"]]
    left_in = 0.3 + 0.068 * max(len(name) for name in names)
    figure, axes = sheet(_question(ledgers), caption, 0.3 + 0.22 * len(shown), left_in)
    plot_ranking(axes, _dimension(ledgers[0], shown, objective), shown["number"].to_numpy(), names)
    legend(axes, right=True)  # the space above the names is free
    return figure


def _thin_out(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The rows of `frame` and the stopped trials to draw, and a sentence for the caption if these are not all.

    The front is always complete; the rest is a random sample with a fixed seed, so a plot can be reproduced.
    """
    rest = np.flatnonzero(~frame["front"])
    kept = _sample(rest.size, _MOST_DOTS)
    some = frame.iloc[np.sort(np.concatenate([np.flatnonzero(frame["front"]), rest[kept]]))]
    read = [ledger.read("trials", ["ending", "metric.*"]) for ledger in ledgers]
    # A stopped trial's row holds the scores of its last report.
    trials = pd.concat(read, ignore_index=True)
    stopped = trials[trials["ending"] == "stopped"]
    few = stopped.iloc[_sample(len(stopped), _MOST_DOTS)]
    counts = ((kept.size, rest.size, "other configurations"), (len(few), len(stopped), "stopped trials"))
    words = [f"{shown:,} of {count:,} {what}" for shown, count, what in counts if shown < count]
    return some, few, [f"Drawn: the whole front, and {' and '.join(words)}, drawn at random."] if words else []


def _sample(count: int, most: int) -> NDArray[np.intp]:
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
    # Costs of networks of different sizes span decades and read best on a log axis; scores stay on a linear one.
    log = metric in COSTS and bool(np.nanmin(mean) > 0) and bool(np.nanmax(mean) > 10 * np.nanmin(mean))
    return Dimension(metric_label(metric), objective.maximize, mean, low, high, last, untouched(ledger, metric), log)


# --- the words ---------------------------------------------------------------------------------------------------


def _question(ledgers: Sequence[Ledger]) -> str:
    return str(ledgers[0].runs["question"].iloc[-1])


def _caption(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    counts = pd.concat([ledger.read("trials", ["ending"]) for ledger in ledgers])["ending"].value_counts()
    endings = ", ".join(f"{counts[ending]:,} {ending}" for ending in ENDINGS if ending in counts)
    seeds = int((frame["interval_over"] == "seeds").sum())
    images = len(frame) - seeds
    over = [f"seeds ({counted(seeds, 'configuration')})"] if seeds else []
    over += [f"validation images, one seed ({counted(images, 'configuration')})"] if images else []
    has = "high.latency_ratio" in frame.columns and frame["high.latency_ratio"].notna().any()
    timed = "; those of latency over rounds of timing" if has else ""
    specs = ", ".join(sorted({str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in ledgers}))
    return [
        f"{counts.sum():,} trials: {endings}.",
        f"Bars: 95 % intervals over {' or '.join(over)}{timed}.",
        f"Data: {specs}, {frame['images'].max():.0f} validation images.",
        *_stage(ledgers, frame),
    ]


def _stage(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """A sentence on whether the points are confirmed results or the search's own scores."""
    if (frame["stage"] == "confirm").all():
        return ["Shown: only the confirmed configurations, with their scores on seeds that the search did not use."]
    if any(map(has_confirmations, ledgers)) and (frame["stage"] == "search").all():
        return ["Shown: the search's own scores, which flatter the best configurations; confirmations are left out."]
    return []


def _key(frame: pd.DataFrame) -> list[str]:
    """The configurations behind the numbers on the front, so that the figure can be read on its own."""
    members = frame[frame["front"]]
    lines = [f"{number}  {label}" for number, label in zip(members["number"], members["label"], strict=True)]
    left = len(lines) - _MOST_KEYS
    return ["", *lines[:_MOST_KEYS], *([f"... and {left} more on the front"] if left > 0 else [])]
