"""The sections of the report in their order: each a function from what was read of a run to what there is to tell."""

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
    """A section before a run is read: `slow` is the command that answers in its place where a page must be quick."""

    key: str
    title: str
    tell: Callable[[Reading], Content]
    slow: str = ""


PARTS = (
    Part("front", "The front", frontier),
    Part("confirmation", "Confirmation", confirmations),
    Part("curves", "Learning curves", curves),
    Part("trials", "Trials", trials),
    Part("images", "Images", images),
    Part("stability", "Stability", stability),
    Part("ablation", "Ablation", ablation),
    Part("importance", "Importance", importance, slow="python -m analysis importance"),
    Part("stopping", "Stopping and its audit", stopping),
    Part("endings", "Endings", endings),
    Part("costs", "Costs of the networks", costs),
    Part("data", "Data", data),
    Part("environment", "Environment", environment),
    Part("reproduce", "How to reproduce it", reproduction),
)


def sections(reading: Reading, live: bool = False) -> Iterator[Section]:
    """All sections of a run. One whose question the ledger cannot answer says why, and the others stand."""
    for part in PARTS:
        yield Section(part.key, part.title, *_content(part, reading, live))


def _content(part: Part, reading: Reading, live: bool) -> Content:
    if live and part.slow:
        return Content(f"Left out of a live page, since it takes long; {part.slow} answers.")
    try:
        return part.tell(reading)
    except LedgerError as error:
        return Content(f"There is no answer: {reading.without_path(str(error))}.")
