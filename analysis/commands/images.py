"""`analysis images`: what the best networks, or chosen ones, do to pictures."""

import argparse
from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from analysis.commands.answer import Answer, described, load_all, question
from analysis.commands.arguments import add_out, add_runs, at_least
from analysis.images.answer import Gallery, gallery
from analysis.images.figure import colors_figure, crops_figure, extremes_figure, photo_figure
from analysis.images.numbers import picture_summary
from analysis.images.table import images_table
from analysis.ledger.load import Ledger
from analysis.ledger.location import Location
from analysis.ledger.samples import picture_name
from analysis.output import say_notes, say_written, write_all
from analysis.screen import terminal

_MOST = 4


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_runs(parser, "several must be on the same data")
    add_out(parser)
    add = parser.add_argument
    add("--most", metavar="N", type=partial(at_least, 1), default=_MOST, help=f"show N networks (default: {_MOST})")
    add("--trial", metavar="ID", action="append", default=[], help="show this completed trial; may be repeated")
    add("--corner", metavar=("X", "Y"), type=partial(at_least, 0), nargs=2,
        help="top left pixel of the enlarged part of photographs")  # fmt: skip


def run(options: argparse.Namespace) -> Answer:
    """Choose, draw and write the pictures. Raises LedgerError."""
    ledgers = load_all(options.runs)
    found = gallery(ledgers, options.most, options.trial)
    say_notes(found.notes)
    figures = _figures(ledgers, found, tuple(options.corner) if options.corner else None)
    files = write_all(found.numbers, figures, options.out or options.runs[0] / "analysis", "images")
    # Without targets there are no scores to summarize.
    summary = picture_summary(found.numbers, found.pictures, found.crops) if found.paired else None
    numbers = {
        "runs": described(ledgers),
        "networks": found.networks,
        "crops": found.crops,
        "photographs": found.photos,
        "pictures": [] if summary is None else summary,
        "files": files,
    }
    return Answer(numbers, lambda: _say(ledgers, found, summary, files))


def _say(ledgers: Sequence[Ledger], found: Gallery, summary: pd.DataFrame | None, files: list[Location]) -> None:
    print(f"\n{_question(ledgers)}\n")
    if summary is not None:
        terminal().print(images_table(summary))
        print("PSNR: mean, worst and best (with the picture's number) over the validation pictures of this one seed.")
        print(f"L1, colors: over the {len(found.crops)} crops that all networks share, in levels (0 to 255): the mean")
        print("absolute error, and how far a channel's levels are from the target's, wherever in the picture they lie.")
    say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("kept")')


def _figures(ledgers: Sequence[Ledger], found: Gallery, corner: tuple[int, int] | None) -> dict[str, Figure]:
    asked = _question(ledgers)
    figures = {}
    if found.crops:
        figures["images-crops"] = crops_figure(f"The same crops: {asked}", found)
        figures["images-colors"] = colors_figure(f"Colors: {asked}", found)
    if found.paired:
        figures["images-extremes"] = extremes_figure(f"Best and worst cases: {asked}", found)
    # Numbered: the name of a photograph may not do as the name of a file.
    for number, photo in enumerate(found.photos, start=1):
        figures[f"images-photo-{number}"] = photo_figure(f"{picture_name(photo)}: {asked}", found, photo, corner)
    return figures


def _question(ledgers: Sequence[Ledger]) -> str:
    questions = dict.fromkeys(map(question, ledgers))
    return next(iter(questions)) if len(questions) == 1 else f"{len(ledgers)} runs on the same data"
