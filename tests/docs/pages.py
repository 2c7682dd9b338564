"""Parse the Markdown pages: code blocks (with the reason if one is not run), their commands, and links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
"""The pages whose commands and code are run."""

PROGRAMS = ("make", "python", "teststrip", "ray", "sbatch", "kubectl", ".venv/bin/python", ".venv/bin/teststrip")

_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block. `why_not` is the reason not to run it, from an HTML comment just before it; else empty."""

    page: Path
    line: int
    language: str
    text: str
    why_not: str

    @property
    def name(self) -> str:
        """PAGE:LINE, for the names of tests."""
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a block of `sh`, as words without its comment."""

    block: Block
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The page and the command, for the names of tests."""
        return f"{self.block.page.name}: {' '.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text().splitlines()
    start, before = None, ""
    for number, line in enumerate(lines):
        if start is None and line.startswith("```"):
            start = number
        elif start is not None and line == "```":
            marked = _NOT_RUN.fullmatch(before)
            text = "\n".join(lines[start + 1 : number])
            yield Block(page, start + 1, lines[start][3:], text, marked[1] if marked else "")
            start = None
        if start is None and line.strip():
            before = line


def commands(block: Block, programs: tuple[str, ...] = ()) -> Iterator[Command]:
    """The commands of a block of `sh`, or only those of some programs. A backslash at the end continues a line."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if programs and not line.startswith(tuple(f"{program} " for program in programs)):
            continue
        if words := shlex.split(line, comments=True):
            yield Command(block, tuple(words))


def indented(page: Path) -> Iterator[Block]:
    """The commands in lines that are indented by four spaces, each as a block of its own."""
    fenced = False
    for number, line in enumerate(page.read_text().splitlines()):
        fenced ^= line.startswith("```")
        if not fenced and line.startswith("    ") and line.split()[:1] and line.split()[0] in PROGRAMS:
            yield Block(page, number + 1, "sh", line.strip(), "")


def links(page: Path) -> list[str]:
    """The targets of links and pictures that lie in the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    return [target for target in targets if not re.match(r"https?:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings: lower case, dashes, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
