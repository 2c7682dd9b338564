"""The figure of `analysis compare-paper`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.sheet import PLOT_IN, legend, sheet
from analysis.paper.plot import Points, plot_pairs
from analysis.statistics.intervals import Floats


def comparison_figure(title: str, frame: pd.DataFrame, foot: Sequence[str]) -> Figure:
    """The figure of `frame` (from `answer.compare_networks`): time against MS-SSIM, the paper hollow, ours filled.

    MS-SSIM is drawn relative to the mean over the networks that both sides have. Its level depends on the pictures and
    on the length of training; the comparison is about differences between networks.
    """
    foot = [
        *(f"{line[0].upper()}{line[1:]}." for line in foot),
        "MS-SSIM is relative to the mean over the networks that both sides have. Bars: 95 % intervals of ours.",
    ]
    figure, axes = sheet(title, foot, PLOT_IN, left_in=0.85)
    theirs, ours = _points(frame, "paper", "FPIE"), _points(frame, "ours", "this run")
    names = ("time (\N{MULTIPLICATION SIGN} DPED)", "MS-SSIM above the mean")
    plot_pairs(axes, theirs, ours, frame["network"].tolist(), names)
    legend(axes)
    return figure


def _points(frame: pd.DataFrame, side: str, name: str) -> Points:
    mean = frame.loc[frame["both"], f"{side}.ms_ssim"].mean()
    # The paper's own points are all drawn, also those of networks that the run lacks.
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
    """A column, NaN where not `known` or if there is no such column (the paper has no intervals)."""
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    return np.where(known, frame[name].to_numpy(dtype=np.float64), np.nan)
