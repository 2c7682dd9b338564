"""What all plots share: colours, scales, and the dress of an axis.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which stay apart for colour-blind readers.
"""

import textwrap

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

BLUE, SKY, VERMILION, GREY, INK = "#0072B2", "#56B4E9", "#D55E00", "#8C8C8C", "#333333"
LINES = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", SKY, INK, GREY)
"""Colours of lines side by side, in this order."""
PAPER = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
"""The box behind a label that may lie on lines."""


_LETTER_IN = 0.085  # of a label, on average


def scale(axes: Axes, name: str, log: bool) -> None:
    """Decades with their 2 and 5, as plain numbers; matplotlib's own axis where it is not logarithmic."""
    if not log:
        return
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def style_axes(axes: Axes, x_label: str, y_label: str) -> Axes:
    axes.set_xlabel(x_label, fontsize=11, color=INK)
    height_in = axes.get_window_extent().height / axes.figure.dpi
    axes.set_ylabel(textwrap.fill(y_label, max(12, int(height_in / _LETTER_IN))), fontsize=11, color=INK)
    axes.grid(color="#E6E6E6", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#AAAAAA")
    axes.tick_params(colors=INK, length=3, color="#AAAAAA")
    return axes
