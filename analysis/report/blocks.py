"""The building blocks of a section: plain data, which the template escapes and turns into HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.report.marks import Marks

# `kind` chooses the part of templates/blocks.html that renders a block.


@dataclass(frozen=True)
class Text:
    """Sentences, one paragraph each. A `note` is highlighted: it casts doubt on an answer."""

    sentences: Sequence[str]
    note: bool = False
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Facts:
    """Pairs of name and value."""

    pairs: Sequence[tuple[str, str]]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Table:
    """Rows of text under column names. `numbers` are the indices of right-aligned columns.

    `marks` are drawn at the end of the rows; rows that are `strong` stand out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    caption: str = ""
    marks: Marks | None = None
    strong: Sequence[bool] = ()
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Shares:
    """Parts of a whole as one stacked bar: name, count and CSS class of each part."""

    parts: Sequence[tuple[str, int, str]]
    kind: str = field(default="shares", init=False)


@dataclass(frozen=True)
class Code:
    """Commands or other text to copy verbatim."""

    text: str
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Picture:
    """A static figure as SVG text; `words` are its alternative text."""

    svg: str
    words: str
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Strip:
    """Photographs side by side, each a data URL with the words below it."""

    caption: str
    photographs: Sequence[tuple[str, str]]
    kind: str = field(default="strip", init=False)


@dataclass(frozen=True)
class Interactive:
    """A placeholder that a script fills from the data of the run: one of the `PARTS` of `main.js`."""

    part: str
    kind: str = field(default="interactive", init=False)


@dataclass(frozen=True)
class Folded:
    """Blocks that are collapsed at first."""

    title: str
    blocks: Sequence["Block"]
    kind: str = field(default="folded", init=False)


Block = Text | Facts | Table | Shares | Code | Picture | Strip | Interactive | Folded


class Content(NamedTuple):
    """The content of a section: a lead sentence and blocks.

    A section that does not apply to a run has no blocks, and its lead says why.
    """

    lead: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Section:
    """Content under a heading."""

    key: str
    title: str
    lead: str
    blocks: Sequence[Block] = ()
