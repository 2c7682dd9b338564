"""What a section of the report is made of: plain data, which the template turns into HTML and escapes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.report.marks import Marks


@dataclass(frozen=True)
class Text:
    """Sentences, each a paragraph of its own; a `note` is set apart, since it makes an answer doubtful."""

    sentences: Sequence[str]
    note: bool = False
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    pairs: Sequence[tuple[str, str]]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Table:
    """Rows of texts under column names. Columns whose index is in `numbers` are set flush right.

    `marks` are drawn behind the rows; rows that are `strong` stand out.
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
    """Parts of a whole as one bar: name, count and the class of its color."""

    parts: Sequence[tuple[str, int, str]]
    kind: str = field(default="shares", init=False)


@dataclass(frozen=True)
class Code:
    """Commands or other text to be copied as it is."""

    text: str
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Picture:
    """A drawn figure that needs no interaction, as the text of an SVG; `words` say what it shows."""

    svg: str
    words: str
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Interactive:
    """A place that a script of `assets/` fills from the data of the run: one of the `PARTS` of `main.js`."""

    part: str
    kind: str = field(default="interactive", init=False)


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when asked for."""

    title: str
    blocks: Sequence["Block"]
    kind: str = field(default="folded", init=False)


Block = Text | Facts | Table | Shares | Code | Picture | Interactive | Folded


class Content(NamedTuple):
    """What a section has to tell: one sentence that says how to read what follows, and blocks.

    A section that does not apply to a run has no blocks, and its sentence says why.
    """

    lead: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Section:
    """What is told, under a heading."""

    key: str
    title: str
    lead: str
    blocks: Sequence[Block] = ()
