"""The Markdown pages are true: README is short, links and anchors lead somewhere, files that are named exist.

Their commands and code are run in `tests/docs`.
"""

import re
from pathlib import Path

import pytest

from tests.docs.pages import anchors, links
from tests.places import ROOT

MOST_LINES = 150
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "cluster/README.md", ROOT / "analysis/README.md"]
)
WRITTEN_BY_THE_READER = ("sweeps/learning_rate.py",)
"""Beside what is called NAME in a path."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in links(ROOT / "README.md")}
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.ipynb")]
    assert [page.name for page in pages if page not in linked] == []


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not _exists(page, link)] == []


@every_page
def test_named_files_exist(page: Path) -> None:
    named = re.findall(r"`((?:enhance|sweeps|analysis|tests|docs|cluster)/[\w/.]+\.\w+)`", page.read_text())
    missing = [name for name in named if not (ROOT / name).exists()]
    assert [name for name in missing if name not in WRITTEN_BY_THE_READER and "NAME" not in name] == []


def _exists(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))
