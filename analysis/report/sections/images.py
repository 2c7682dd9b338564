"""What the networks of the front make of the same pictures."""

from analysis.images.answer import Gallery
from analysis.images.numbers import picture_summary
from analysis.images.table import picture_cells
from analysis.ledger.units import sentence
from analysis.report.blocks import Block, Content, Interactive, Table, Text
from analysis.report.pictures import MOST_CROPS
from analysis.report.reading import Reading


def images(reading: Reading) -> Content:
    """Crops side by side, and what all validation pictures say of each network."""
    found = reading.pictures
    if found is None:
        return Content(f"There are no pictures to show: {reading.without_path(reading.pictures_why)}.")
    if not found.crops:
        return Content("The networks of the front have no crop in common; python -m analysis images shows photographs.")
    count = len(found.crops)
    some = f"{MOST_CROPS} of {count} crops" if count > MOST_CROPS else "Crops" if count > 1 else "A crop"
    lead = (
        f"{some} of the validation set, chosen before anything was trained, the same for all networks; "
        "a click on a network's picture shows its trial."
    )
    blocks: list[Block] = [Interactive("pictures")]
    if found.paired:
        blocks.append(_table(found))
    notes = [f"{sentence(reading.without_path(note))}." for note in found.notes]
    more = "Error maps, colors, best and worst cases and whole photographs: python -m analysis images."
    return Content(lead, [*blocks, Text([*notes, more])])


def _table(found: Gallery) -> Table:
    summary = picture_summary(found.numbers, found.pictures, found.crops)
    rows = [picture_cells(row) for row in summary.to_dict("records")]
    caption = (
        "PSNR over all validation pictures of one seed, the worst and best with their numbers; L1 and colors of "
        "the kept crops, in levels of 255: the mean absolute error, and how far the levels of a channel are from the "
        "target's."
    )
    columns = ["network", "configuration", "PSNR (dB)", "worst", "best", "better than input", "L1", "colors"]
    return Table(columns, rows, range(2, 8), caption)
