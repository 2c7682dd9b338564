"""Early stopping: where trials were stopped, what that saved, and what it lost according to the audit."""

from collections.abc import Sequence

from analysis.drawing.sheet import svg_text
from analysis.ledger.load import Ledger, contract
from analysis.ledger.units import sentence
from analysis.report.blocks import Block, Content, Picture, Table, Text
from analysis.report.reading import Reading
from analysis.stopping.answer import saved_by_rung, savings_line
from analysis.stopping.audit import FEWEST_COMPLETED, audit, foot_lines
from analysis.stopping.figure import stopping_figure
from analysis.stopping.table import Cells, audit_cells, legend_lines, saved_cells


def stopping(reading: Reading) -> Content:
    """Where trials were stopped, and whether that was right."""
    ledger = reading.ledger
    rungs, rule = contract(ledger, "rungs"), str(contract(ledger, "stopping"))
    trials = ledger.read("trials", ["stage", "ending"])
    search = trials[trials["stage"] == "search"]
    if search.empty:
        return Content("No trial of the search has ended.")
    if rule == "none" or len(rungs) < 2:
        return Content("The sweep trains every trial to the end; nothing is stopped early.")
    lead = (
        f"The stopping rule {rule!r} compares trials at "
        f"{'1 rung' if len(rungs) == 2 else f'{len(rungs) - 1} rungs'} before the end."
    )
    # `audit` would refuse, but what was saved can be told all the same.
    if int((search["ending"] == "completed").sum()) < FEWEST_COMPLETED:
        few = "too few trials completed to compare the rungs with the end"
        return Content(lead, [_sentences([savings_line(ledger), few]), _table(saved_cells(saved_by_rung(ledger)))])
    return Content(lead, _audit(ledger))


def _audit(ledger: Ledger) -> list[Block]:
    """The tables and the figure of `analysis stopping`."""
    found = audit(ledger)
    figure = stopping_figure(
        "How well rungs predict the end, and what stopping saved", found, foot_lines(ledger, found)
    )
    words = "Plots: scores at a rung against scores at the end; regret and rank correlation by rung; savings."
    legend = Text([sentence(line) for line in legend_lines()])
    said = _sentences([savings_line(ledger), *found.said])
    return [said, *map(_table, audit_cells(found)), legend, Picture(svg_text(figure), words)]


def _sentences(lines: Sequence[str]) -> Text:
    return Text([f"{sentence(line)}." for line in lines])


def _table(cells: Cells) -> Table:
    last = len(cells.rows) - 1
    strong = [cells.sum and place == last for place in range(len(cells.rows))]
    return Table(cells.names, cells.rows, range(cells.left, len(cells.names)), strong=strong)
