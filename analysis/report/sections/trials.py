"""What the scripts draw from the data of a run: learning curves and the table of all trials."""

from analysis.report.blocks import Block, Content, Interactive, Text
from analysis.report.reading import Reading


def curves(reading: Reading) -> Content:
    """The learning curves."""
    if reading.reports.empty:
        return Content("No trial has reported at a rung, so there is nothing to draw.")
    lead = "One line per trial, a point per report; a click on a line shows the trial."
    return Content(lead, [Interactive("curves"), *_note(reading.reports_note)])


def trials(reading: Reading) -> Content:
    """The table of trials."""
    lead = (
        "Filter by words and by numbers, such as lr<0.001 or psnr_db>20; sort by a click on a column's head; "
        "a click on a row shows the trial."
    )
    return Content(lead, [*_note(reading.trials_note), Interactive("trials")])


def _note(text: str) -> list[Block]:
    return [Text([text])] if text else []
