"""What every command does with its answer: say it, and write picture and numbers side by side."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from analysis.figures.sheet import save
from analysis.load import LedgerError

_PIPED_WIDTH = 120


def console() -> Console:
    """The terminal, or a wide page where the output goes elsewhere."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def written(frame: pd.DataFrame, figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write FOLDER/STEM.png, .svg and .parquet (the numbers, last in the list). Raises LedgerError where it cannot."""
    table = folder / f"{stem}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = save(figure, folder, stem)
        frame.to_parquet(table, index=False)
    except OSError as error:
        raise LedgerError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
    return [*figures, table]


def say_written(paths: Iterable[Path]) -> None:
    """Name the files on stdout."""
    print("\nwritten:")
    for path in paths:
        print(f"  {path}")


def say_notes(notes: Iterable[str]) -> None:
    """Say what was put aside or makes an answer doubtful, on stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
