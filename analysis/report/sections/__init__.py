"""The sections of the report in their order: each a function from what was read of a run to a `Section`."""

from collections.abc import Callable

from analysis.report.blocks import Section
from analysis.report.reading import Reading
from analysis.report.sections.background import data, environment, reproduction
from analysis.report.sections.costs import costs
from analysis.report.sections.endings import endings
from analysis.report.sections.frontier import confirmations, frontier
from analysis.report.sections.stopping import stopping
from analysis.report.sections.trials import curves, trials

SECTIONS: tuple[Callable[[Reading], Section], ...] = (
    frontier,
    confirmations,
    curves,
    trials,
    stopping,
    endings,
    costs,
    data,
    environment,
    reproduction,
)
