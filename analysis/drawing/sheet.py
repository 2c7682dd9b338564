"""The page layout of every figure (title, plots, caption below), and saving it."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.fonts import choose_fonts, quiet_about_fonts
from analysis.drawing.style import INK

PLOT_IN = 4.4
"""Height of an ordinary plot, in inches."""

WIDE_IN = 11.0
"""Width of a page with several plots side by side, in inches."""

_WIDTH_IN = 8.5
_LINE_IN = 0.18


def sheet(title: str, foot: Sequence[str], plot_in: float, left_in: float) -> tuple[Figure, Axes]:
    """A figure with one plot of height `plot_in`; the page grows with its title and its caption `foot`."""
    page = Page(title, foot, plot_in, below_in=0.62)
    return page.figure, page.axes(left_in, 0, _WIDTH_IN - left_in - 0.3, plot_in)


class Page:
    """A figure `width_in` wide: a title, an area `inside_in` high for plots, and the caption `foot`.

    `below_in` is the gap between plots and caption, for tick and axis labels. Positions are in inches from the left
    edge of the page and from the top of the plot area.
    """

    def __init__(
        self, title: str, foot: Sequence[str], inside_in: float, width_in: float = _WIDTH_IN, below_in: float = 0.1
    ) -> None:
        share = width_in / _WIDTH_IN
        # 74 letters of the title and 122 of the caption fit on a page of the usual width.
        title_lines = textwrap.wrap(title, int(74 * share)) or [""]
        foot_lines = [
            part for line in foot for part in (textwrap.wrap(line, int(122 * share), subsequent_indent="    ") or [""])
        ]
        self.top_in = 0.2 + 0.26 * len(title_lines) + 0.32
        bottom_in = below_in + _LINE_IN * len(foot_lines) + 0.12
        self.width_in, self.height_in = width_in, self.top_in + inside_in + bottom_in
        self.figure = Figure(figsize=(self.width_in, self.height_in))
        self.figure.text(0.2 / self.width_in, 1 - 0.18 / self.height_in, "\n".join(title_lines), va="top", fontsize=13,
                         color=INK, fontweight="bold", linespacing=1.25)  # fmt: skip
        self.text(0.2, inside_in + below_in, "\n".join(foot_lines), va="top", fontsize=8.5, color="#555555",
                  linespacing=1.35)  # fmt: skip

    def axes(self, left_in: float, top_in: float, wide_in: float, high_in: float) -> Axes:
        """Axes of a given size with their upper left corner at a position."""
        bottom = 1 - (self.top_in + top_in + high_in) / self.height_in
        box = (left_in / self.width_in, bottom, wide_in / self.width_in, high_in / self.height_in)
        return self.figure.add_axes(box)

    def text(self, left_in: float, top_in: float, text: str, **style: Any) -> None:
        """Text at a position."""
        up = 1 - (self.top_in + top_in) / self.height_in
        self.figure.text(left_in / self.width_in, up, text, **{"color": INK, **style})


def grid(
    title: str,
    foot: Sequence[str],
    rows: int,
    columns: int,
    high_in: float,
    *,
    width_in: float = _WIDTH_IN,
    left_in: float = 0.85,
    right_in: float = 0.3,
    across_in: float = 0.75,
    up_in: float = 0.75,
    above_in: float = 0.0,
    below_in: float = 0.62,
) -> tuple[Figure, list[list[Axes]]]:
    """A page with `rows` x `columns` plots, each `high_in` high. Returns the axes by row, then by column.

    Gaps: `across_in` and `up_in` between plots, `left_in` and `right_in` at the sides, `above_in` above the first row
    (for a legend of several lines), `below_in` under the last.
    """
    page = Page(title, foot, above_in + rows * high_in + (rows - 1) * up_in, width_in, below_in)
    wide_in = (width_in - left_in - right_in - (columns - 1) * across_in) / columns
    lefts = [left_in + column * (wide_in + across_in) for column in range(columns)]
    tops = [above_in + row * (high_in + up_in) for row in range(rows)]
    return page.figure, [[page.axes(left, top, wide_in, high_in) for left in lefts] for top in tops]


def legend(axes: Axes, columns: int = 4, right: bool = False) -> None:
    """A legend above the plot, aligned to its left or right edge."""
    # The corner of the legend that is anchored: its lower edge lies on the upper edge of the plot.
    place: Literal["lower right", "lower left"] = "lower right" if right else "lower left"
    axes.legend(loc=place, bbox_to_anchor=(1.01 if right else -0.01, 1.0), ncols=columns, frameon=False, fontsize=8.5,
                handletextpad=0.35, columnspacing=1.6, borderaxespad=0.2, borderpad=0.2)  # fmt: skip


def svg_text(figure: Figure) -> str:
    """The figure as SVG, free of dates, versions and random ids: equal figures give equal text."""
    text = io.StringIO()
    _save_svg(figure, text)
    return text.getvalue()


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write STEM.png and STEM.svg, reproducible byte for byte, and return their paths. Raises OSError."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    choose_fonts(figure)
    with quiet_about_fonts():
        # By default the file records the version of matplotlib.
        figure.savefig(png, dpi=160, metadata={"Software": None})
    _save_svg(figure, svg)
    return [png, svg]


def _save_svg(figure: Figure, where: Path | io.StringIO) -> None:
    # Ids are random without a salt. Text as paths needs no fonts where the file is read; but a character that has no
    # font here may have one there.
    text_as = "none" if choose_fonts(figure) else "path"
    with matplotlib.rc_context({"svg.hashsalt": "teststrip", "svg.fonttype": text_as}), quiet_about_fonts():
        figure.savefig(where, format="svg", metadata={"Date": None, "Creator": None})
