"""The sections of the report, in order. Each is a function from a `Reading` to `Content`."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from analysis.ledger.load import LedgerError
from analysis.report.blocks import Content, Section
from analysis.report.reading import Reading
from analysis.report.sections.ablation import ablation
from analysis.report.sections.background import data, environment, reproduction
from analysis.report.sections.costs import costs
from analysis.report.sections.endings import endings
from analysis.report.sections.frontier import confirmations, frontier
from analysis.report.sections.images import images
from analysis.report.sections.importance import importance
from analysis.report.sections.stability import stability
from analysis.report.sections.stopping import stopping
from analysis.report.sections.trials import curves, trials


class Part(NamedTuple):
    """A kind of section. `slow` names the command to run instead where the page must render quickly."""

    key: str
    title: str
    build: Callable[[Reading], Content]
    slow: str = ""


PARTS = (
    Part("front", "Pareto front", frontier),
    Part("confirmation", "Confirmation", confirmations),
    Part("curves", "Learning curves", curves),
    Part("trials", "Trials", trials),
    Part("images", "Images", images),
    Part("stability", "Stability", stability),
    Part("ablation", "Ablation", ablation),
    Part("importance", "Importance", importance, slow="teststrip importance"),
    Part("stopping", "Early stopping", stopping),
    Part("endings", "Endings", endings),
    Part("costs", "Network costs", costs),
    Part("data", "Data", data),
    Part("environment", "Environment", environment),
    Part("reproduce", "How to reproduce this run", reproduction),
)


def sections(reading: Reading, live: bool = False) -> Iterator[Section]:
    """All sections of a run. A section that the ledger cannot answer says why; it does not break the others."""
    for part in PARTS:
        yield Section(part.key, part.title, *_content(part, reading, live))


def _content(part: Part, reading: Reading, live: bool) -> Content:
    # A live page is built again whenever the ledger has grown.
    if live and part.slow:
        return Content(f"Too slow for a live page; run {part.slow} instead.")
    try:
        return part.build(reading)
    except LedgerError as error:
        return Content(f"Not available: {reading.without_path(str(error))}.")
