"""The sections that scripts draw: learning curves and the table of trials."""

from analysis.report.blocks import Block, Content, Interactive, Text
from analysis.report.reading import Reading


def curves(reading: Reading) -> Content:
    """The learning curves."""
    if reading.reports.empty:
        return Content("No trial has reported a score yet, so there is nothing to draw.")
    lead = "One line per trial, one point per report. Click a line to see its trial."
    return Content(lead, [Interactive("curves"), *_note(reading.reports_note)])


def trials(reading: Reading) -> Content:
    """The table of trials."""
    lead = (
        "Filter by words and numbers, such as lr<0.001 or psnr_db>20. Click a column header to sort, a row to see its "
        "trial."
    )
    return Content(lead, [*_note(reading.trials_note), Interactive("trials")])


def _note(text: str) -> list[Block]:
    return [Text([text])] if text else []
