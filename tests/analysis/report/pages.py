"""A report's page as a browser's parser sees it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from analysis.report.page import page
from analysis.report.reading import read


class Page(HTMLParser):
    """A page as a browser's parser sees it: tags with their attributes, visible text, and the data of the runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.data: list[Any] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.tags.append((tag, own))
        if tag in ("script", "style"):
            self._inside = own.get("class") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data.append(json.loads(data))
        elif not self._inside:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def ids(self) -> list[str]:
        return [own["id"] or "" for _, own in self.tags if "id" in own]


def report_of(*runs: Path) -> str:
    return page([read(run) for run in runs])
