"""The outputs of the front's networks on the same pictures."""

from analysis.images.answer import Gallery
from analysis.images.numbers import picture_summary
from analysis.images.table import picture_cells
from analysis.ledger.units import sentence
from analysis.report.blocks import Content, Interactive, Table, Text
from analysis.report.pictures import MOST_CROPS, MOST_PHOTOS, photo_strips
from analysis.report.reading import Reading

_MORE = "For error maps, color histograms, best and worst cases and whole photographs, run teststrip images."


def images(reading: Reading) -> Content:
    """Crops side by side, statistics over all validation pictures, and photographs."""
    found = reading.pictures
    if found is None:
        return Content(f"There are no pictures to show: {reading.without_path(reading.pictures_why)}.")
    strips = photo_strips(found)
    if not found.crops:
        lead = "The networks on the front have no crop in common, so only photographs are shown."
        return Content(lead, [*strips, Text([*_notes(reading, found), _MORE])])
    count = len(found.crops)
    some = f"{MOST_CROPS} of {count} crops" if count > MOST_CROPS else "Crops" if count > 1 else "A crop"
    lead = (
        f"{some} of the validation set, chosen before training and the same for all networks. "
        "Click a network's picture to see its trial."
    )
    table = [_table(found)] if found.paired else []
    return Content(lead, [Interactive("pictures"), *table, *strips, Text([*_notes(reading, found), _MORE])])


def _notes(reading: Reading, found: Gallery) -> list[str]:
    more = len(found.photos) - MOST_PHOTOS
    left_out = [f"{more} more photographs are not shown here."] if more > 0 else []
    return [*(f"{sentence(reading.without_path(note))}." for note in found.notes), *left_out]


def _table(found: Gallery) -> Table:
    summary = picture_summary(found.numbers, found.pictures, found.crops)
    rows = [picture_cells(row) for row in summary.to_dict("records")]
    caption = (
        "PSNR over all validation pictures of one seed, with the numbers of the worst and the best picture. L1 (mean "
        "absolute error) and colors (distance between the color distributions of output and target) are over the kept "
        "crops, in levels (0 to 255)."
    )
    columns = ["network", "configuration", "PSNR (dB)", "worst", "best", "better than input", "L1", "colors"]
    return Table(columns, rows, range(2, 8), caption)
