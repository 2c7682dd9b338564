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


def legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, fontsize=8.5, handletextpad=0.35,
                columnspacing=1.6, borderaxespad=0.2, borderpad=0.2)  # fmt: skip


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write STEM.png and STEM.svg without dates, versions or random names in them. Raises OSError."""
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with matplotlib.rc_context({"svg.hashsalt": "teststrip", "svg.fonttype": "path"}):
        figure.savefig(png, dpi=160, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]
