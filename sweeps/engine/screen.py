"""The terminal, and commands to be typed into it: the one place where texts of others are kept from being markup.

Paths, labels, questions and reasons may hold anything. rich takes `[bold]` for a style and `:warning:` for a picture,
and a shell splits at blanks.
"""

import shlex
import sys
from pathlib import Path

from rich.console import Console

PIPED_WIDTH = 120
"""Columns where there is no terminal; in rich's default of 80 a configuration does not fit on a line."""


def terminal(piped_width: int = PIPED_WIDTH, *, stderr: bool = False) -> Console:
    """A console that prints every text, in sentences and in cells of tables, letter by letter."""
    width = None if sys.stdout.isatty() else piped_width
    return Console(markup=False, emoji=False, highlight=False, width=width, stderr=stderr)


def shell_words(*words: object) -> str:
    """Words as they are typed into a shell, such as the path of a run: quoted where they have to be."""
    return shlex.join(map(_typed, words))


def _typed(word: object) -> str:
    """A file whose name begins with a dash would be taken for an option."""
    return f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
