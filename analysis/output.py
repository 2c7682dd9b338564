"""What every command does with its answer: print it, and write figures and numbers side by side."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.fonts import choose_fonts
from analysis.drawing.sheet import save
from analysis.ledger.load import LedgerError
from analysis.ledger.location import Location, local_folder_for


def write(frame: pd.DataFrame, figure: Figure, folder: Location, stem: str) -> list[Location]:
    """Write FOLDER/STEM.png, .svg and .parquet (the numbers, last in the list). Raises LedgerError where it cannot."""
    return write_all(frame, {stem: figure}, folder, stem)


def write_all(frame: pd.DataFrame, figures: Mapping[str, Figure], folder: Location, stem: str) -> list[Location]:
    """Write each figure as FOLDER/NAME.png and .svg, and the numbers as FOLDER/STEM.parquet, last in the list.

    Raises LedgerError where it cannot.
    """
    # For all figures at once: `save` chooses fonts again, but the note should come once and before any file.
    missing = sorted(set("".join(choose_fonts(figure) for figure in figures.values())))
    if missing:
        characters = " ".join(missing)
        say_notes([f"no installed font has {characters}, so the PNG shows boxes; install one, or use the SVG"])
    with writing(folder) as local:
        pictures = [path.name for name, figure in figures.items() for path in save(figure, local, name)]
        frame.to_parquet(local / f"{stem}.parquet", index=False)
    return [folder / name for name in (*pictures, f"{stem}.parquet")]


def write_numbers(frame: pd.DataFrame, folder: Location, stem: str) -> Location:
    """Write FOLDER/STEM.parquet. Raises LedgerError where it cannot."""
    return write_all(frame, {}, folder, stem)[-1]


@contextmanager
def writing(folder: Location) -> Iterator[Path]:
    """A local folder to write into; its files are in `folder` afterwards. Raises LedgerError."""
    try:
        with local_folder_for(folder) as local:
            yield local
    except OSError as error:
        # An error of a store has no strerror; its own text says what to do.
        why = error.strerror or error
        raise LedgerError(f"cannot write to {folder} ({why}); choose another folder with --out") from error


def say_written(paths: Iterable[Location]) -> None:
    """Name the files on standard output."""
    print("\nwritten:")
    for path in paths:
        print(f"  {path}")


def say_notes(notes: Iterable[str]) -> None:
    """Print what was left out, or what casts doubt on an answer, on standard error."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
