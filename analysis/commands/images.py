"""`analysis images`: what the best networks, or named ones, make of pictures."""

import argparse

from matplotlib.figure import Figure

from analysis.commands.arguments import RUN, run_location
from analysis.images.answer import Gallery, gallery
from analysis.images.figure import colors_figure, crops_figure, extremes_figure, photo_figure
from analysis.images.numbers import picture_summary
from analysis.images.table import images_table
from analysis.ledger.load import Ledger, load
from analysis.ledger.samples import picture_name
from analysis.output import console, say_notes, say_written, written_all

_MOST = 4


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be said behind the command's name."""
    add = parser.add_argument
    add("runs", metavar="RUN", type=run_location, nargs="+", help=f"{RUN}; several: on the same data")
    add("--most", metavar="N", type=_positive, default=_MOST, help=f"networks to show (default: {_MOST})")
    add("--trial", metavar="ID", action="append", default=[], help="show this completed trial; may be repeated")
    add("--corner", metavar=("X", "Y"), type=_natural, nargs=2, help="which part of photographs is enlarged, in px")
    add("--out", metavar="DIR", type=run_location, help="where the files go (default: analysis in the first RUN)")


def run(options: argparse.Namespace) -> None:
    """Carry the command out. Raises LedgerError."""
    ledgers = [load(run) for run in options.runs]
    say_notes(note for ledger in ledgers for note in ledger.notes)
    found = gallery(ledgers, options.most, options.trial)
    say_notes(found.notes)
    figures = _figures(ledgers, found, tuple(options.corner) if options.corner else None)
    files = written_all(found.numbers, figures, options.out or options.runs[0] / "analysis", "images")
    print(f"\n{_question(ledgers)}\n")
    if found.paired:
        console().print(images_table(picture_summary(found.numbers, found.pictures, found.crops)))
        print("PSNR: mean, worst and best (which picture) of the validation pictures of this one seed, not of several.")
        print(f"L1, colors: of the {len(found.crops)} crops that all share, in levels of 255: the mean absolute error,")
        print("and how far the levels of a channel are from the target's, wherever in the picture they stand.")
    say_written(files)
    print(f'\nthe numbers in pandas: import pandas; pandas.read_parquet("{files[-1]}").query("kept")')


def _figures(ledgers: list[Ledger], found: Gallery, corner: tuple[int, int] | None) -> dict[str, Figure]:
    question = _question(ledgers)
    figures = {}
    if found.crops:
        figures["images-crops"] = crops_figure(f"The same crops: {question}", found)
        figures["images-colors"] = colors_figure(f"Colors: {question}", found)
    if found.paired:
        figures["images-extremes"] = extremes_figure(f"Best and worst cases: {question}", found)
    for number, photo in enumerate(found.photos, start=1):
        figures[f"images-photo-{number}"] = photo_figure(f"{picture_name(photo)}: {question}", found, photo, corner)
    return figures


def _question(ledgers: list[Ledger]) -> str:
    questions = dict.fromkeys(str(ledger.runs["question"].iloc[-1]) for ledger in ledgers)
    return next(iter(questions)) if len(questions) == 1 else f"{len(ledgers)} runs on the same data"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 1")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 0")
    return int(text)
