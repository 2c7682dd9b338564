"""The sheet that every figure stands on: a title, plots, and the words below; and how it is saved."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import INK

PLOT_IN = 4.4
"""Height of an ordinary plot."""

_WIDTH_IN = 8.5
_PAGE_IN = 11.0
_LINE_IN = 0.18


def sheet(title: str, foot: Sequence[str], plot_in: float, left_in: float) -> tuple[Figure, Axes]:
    """A figure that is as tall as its words need, around a plot that always has the height `plot_in`."""
    page = Page(title, foot, plot_in, below_in=0.62)
    return page.figure, page.axes(left_in, 0, _WIDTH_IN - left_in - 0.3, plot_in)


class Page:
    """A figure `width_in` wide: the title, a place `inside_in` high for whatever is placed there, and the foot below.

    `below_in` is left free between the two, for what stands under an axis. Places are given in inches from the left
    edge of the page and from the top of the place between title and foot.
    """

    def __init__(
        self, title: str, foot: Sequence[str], inside_in: float, width_in: float = _WIDTH_IN, below_in: float = 0.1
    ) -> None:
        share = width_in / _WIDTH_IN
        title_lines = textwrap.wrap(title, int(74 * share)) or [""]
        foot_lines = [
            part for line in foot for part in (textwrap.wrap(line, int(122 * share), subsequent_indent="    ") or [""])
        ]
        self.top_in = 0.2 + 0.26 * len(title_lines) + 0.32
        bottom_in = below_in + _LINE_IN * len(foot_lines) + 0.12
        self.width_in, self.height_in = width_in, self.top_in + inside_in + bottom_in
        self.figure = Figure(figsize=(self.width_in, self.height_in))
        self.figure.text(0.2 / self.width_in, 1 - 0.18 / self.height_in, "\n".join(title_lines), va="top", fontsize=13,
                         color=INK, fontweight="bold", linespacing=1.25, parse_math=False)  # fmt: skip
        self.text(0.2, inside_in + below_in, "\n".join(foot_lines), va="top", fontsize=8.5, color="#555555",
                  linespacing=1.35)  # fmt: skip

    def axes(self, left_in: float, top_in: float, wide_in: float, high_in: float) -> Axes:
        """Axes with their upper left corner at a place."""
        bottom = 1 - (self.top_in + top_in + high_in) / self.height_in
        box = (left_in / self.width_in, bottom, wide_in / self.width_in, high_in / self.height_in)
        return self.figure.add_axes(box)

    def text(self, left_in: float, top_in: float, text: str, **style: Any) -> None:
        """Words at a place."""
        up = 1 - (self.top_in + top_in) / self.height_in
        self.figure.text(left_in / self.width_in, up, text, parse_math=False, **{"color": INK, **style})


def panels(
    title: str,
    foot: Sequence[str],
    rows: int,
    columns: int,
    panel_in: float,
    left_in: float = 0.85,
    gap_in: float = 0.75,
) -> tuple[Figure, list[list[Axes]]]:
    """A sheet with `rows` x `columns` plots, each `panel_in` high; the axes by row, then by column."""
    figure, whole = sheet(title, foot, rows * panel_in + (rows - 1) * gap_in, left_in)
    box = whole.get_position()
    whole.remove()
    across, up = gap_in / _WIDTH_IN, gap_in / figure.get_figheight()
    width, height = (box.width - (columns - 1) * across) / columns, (box.height - (rows - 1) * up) / rows
    bottoms = [box.y1 - height - row * (height + up) for row in range(rows)]
    lefts = [box.x0 + column * (width + across) for column in range(columns)]
    return figure, [[figure.add_axes((left, bottom, width, height)) for left in lefts] for bottom in bottoms]


def page(title: str, foot: Sequence[str], count: int, plot_in: float = 3.0) -> tuple[Figure, list[Axes]]:
    """A wide page with `count` plots in two columns, each `plot_in` high."""
    rows, between_in = -(-count // 2), 1.05
    figure, top_in = _words(title, foot, rows * plot_in + (rows - 1) * between_in)
    height_in, width_in = figure.get_figheight(), _PAGE_IN / 2 - 1.6
    found = []
    for number in range(count):
        left_in = 0.85 + (number % 2) * (_PAGE_IN / 2 + 0.1)
        below_in = height_in - top_in - (number // 2) * (plot_in + between_in) - plot_in
        box = (left_in / _PAGE_IN, below_in / height_in, width_in / _PAGE_IN, plot_in / height_in)
        found.append(figure.add_axes(box))
    return figure, found


def strips(title: str, foot: Sequence[str], count: int, plot_in: float, left_in: float) -> tuple[Figure, list[Axes]]:
    """A wide page with `count` plots side by side that share their rows; the names of these have `left_in`."""
    figure, top_in = _words(title, foot, plot_in)
    height_in, width_in = figure.get_figheight(), (_PAGE_IN - left_in - 0.2) / count
    found = []
    for number in range(count):
        box = ((left_in + number * width_in) / _PAGE_IN, (height_in - top_in - plot_in) / height_in,
               (width_in - 0.25) / _PAGE_IN, plot_in / height_in)  # fmt: skip
        found.append(figure.add_axes(box))
    return figure, found


def _words(title: str, foot: Sequence[str], plots_in: float) -> tuple[Figure, float]:
    """A wide page with its words, as tall as these and `plots_in` need, and the height above the plots."""
    title_lines = textwrap.wrap(title, 100) or [""]
    foot_lines = [part for line in foot for part in (textwrap.wrap(line, 160, subsequent_indent="    ") or [""])]
    top_in, bottom_in = 0.2 + 0.26 * len(title_lines) + 0.55, 0.9 + _LINE_IN * len(foot_lines)
    height_in = top_in + plots_in + bottom_in
    figure = Figure(figsize=(_PAGE_IN, height_in))
    figure.text(0.2 / _PAGE_IN, 1 - 0.18 / height_in, "\n".join(title_lines), va="top", fontsize=13, color=INK,
                fontweight="bold", linespacing=1.25, parse_math=False)  # fmt: skip
    figure.text(0.2 / _PAGE_IN, (bottom_in - 0.82) / height_in, "\n".join(foot_lines), va="top", fontsize=8.5,
                color="#555555", linespacing=1.35, parse_math=False)  # fmt: skip
    return figure, top_in


def legend(axes: Axes, columns: int = 4) -> None:
    """The names of what is drawn, above the plot."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, frameon=False, fontsize=8.5,
                handletextpad=0.35, columnspacing=1.6, borderaxespad=0.2, borderpad=0.2)  # fmt: skip


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write STEM.png and STEM.svg without dates, versions or random names in them. Raises OSError."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with matplotlib.rc_context({"svg.hashsalt": "teststrip", "svg.fonttype": "path"}):
        figure.savefig(png, dpi=160, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
