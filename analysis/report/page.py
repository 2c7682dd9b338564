"""Render the page: sections and data of one or more runs as a single self-contained HTML text."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from analysis.report.blocks import Section, Table
from analysis.report.data import run_data
from analysis.report.embed import script_json
from analysis.report.reading import Reading
from analysis.report.sections import sections
from analysis.report.sections.overview import Overview, comparison, overview

_SCRIPTS = ("format", "scales", "chart", "frontier", "curves", "trials", "pictures", "panel", "live", "main")
"""The scripts of `assets/` in the order in which they are joined; each uses only those before it."""


@dataclass(frozen=True)
class Chapter:
    """One run on the page."""

    index: int
    overview: Overview
    sections: Sequence[Section]
    data: Markup


def page(readings: Sequence[Reading], live: str = "") -> str:
    """The report of `readings` as HTML text.

    Equal ledgers give equal text: no time and no machine goes into it. With `live` (the server's version of the
    ledgers) the page polls its server and reloads when the version changes.
    """
    chapters = [
        Chapter(index, overview(reading), list(sections(reading, bool(live))), _data(reading))
        for index, reading in enumerate(readings)
    ]
    title = readings[0].name if len(readings) == 1 else f"{len(readings)} runs"
    several: Table | None = comparison(readings) if len(readings) > 1 else None
    return _render("page", title=f"Teststrip report: {title}", chapters=chapters, several=several, live=live)


def waiting_page(runs: Sequence[str], sentences: Sequence[str], live: str) -> str:
    """What the live server shows while there is nothing to report yet: the reason. The page keeps polling."""
    title = f"Teststrip report: waiting for {', '.join(runs)}"
    return _render("waiting", title=title, runs=runs, sentences=sentences, live=live)


def _data(reading: Reading) -> Markup:
    """The data of a run for a script tag. Markup is safe here: `script_json` escapes whatever could end the tag."""
    return Markup(script_json(run_data(reading)))


def _render(name: str, live: str, **values: object) -> str:
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # A second line of defense: even if text from a ledger got through unescaped, the browser would run only our
    # script and load nothing.
    policy = [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        # Not a hash, which would not cover the style attribute of a stacked bar.
        "style-src 'unsafe-inline'",
        "img-src data:",
        # A live page polls its server; a file has nobody to talk to.
        "connect-src 'self'" if live else "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    own = {"policy": "; ".join(policy), "style": Markup(_asset("style.css")), "script": Markup(script)}
    return _environment().get_template(name).render(live=live, **own, **values)


@cache
def _environment() -> Environment:
    # Labels and errors come from ledgers and may hold anything, so all text is escaped. A misspelled name in a template
    # raises instead of printing nothing.
    environment = Environment(
        loader=FunctionLoader(lambda name: _file("templates", f"{name}.html")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    return environment


@cache
def _script() -> str:
    # One function scope around all files: they share names with each other, but none with the page.
    body = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}}})();\n'


def _asset(name: str) -> str:
    return _file("assets", name)


@cache
def _file(folder: str, name: str) -> str:
    return (resources.files("analysis.report") / folder / name).read_text(encoding="utf-8")
