"""The style of all plots: colors, scales, axes.

The colors are Okabe and Ito's (jfly.uni-koeln.de/color), which color-blind readers can tell apart.
"""

import textwrap

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter

# Labels and values are others' texts: what stands between two dollar signs would be read as TeX, and may be refused.
matplotlib.rcParams["text.parse_math"] = False

BLUE, SKY, VERMILION, GRAY, INK = "#0072B2", "#56B4E9", "#D55E00", "#8C8C8C", "#333333"
RUST = "#B84A00"
"""VERMILION for text: on white it has a contrast of 5:1, where VERMILION has 3.9:1."""

LINES = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", SKY, INK, GRAY)
"""Colors of several lines in one plot, in this order."""
PAPER = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
"""A box behind labels that may lie on top of lines."""

_LETTER_IN = 0.085  # average width of a letter of an axis label


def scale(axes: Axes, name: str, log: bool) -> None:
    """Ticks at 1, 2 and 5 of each decade, as plain numbers, on a logarithmic axis; leaves a linear axis as it is."""
    if not log:
        return
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def log_scale(axes: Axes, name: str) -> None:
    """A logarithmic axis over many decades: ticks at powers of ten, as matplotlib chooses them, without TeX."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_formatter(LogFormatter())
    # An axis of up to two decades may hold a single power of ten, so some minor ticks get a number too.
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.4)))


def style_axes(axes: Axes, x_label: str, y_label: str) -> Axes:
    """Label and style the axes, and return them."""
    axes.set_xlabel(x_label, fontsize=11, color=INK)
    # A label longer than the axis would run off the page.
    height_in = axes.get_window_extent().height / axes.figure.dpi
    axes.set_ylabel(textwrap.fill(y_label, max(12, int(height_in / _LETTER_IN))), fontsize=11, color=INK)
    axes.grid(color="#E6E6E6", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#AAAAAA")
    axes.tick_params(colors=INK, length=3, color="#AAAAAA")
    return axes
