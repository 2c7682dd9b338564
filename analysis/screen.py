"""The terminal, and commands to be typed into it: the one place where texts of others are kept from being markup.

Paths, labels, questions and reasons may hold anything. rich takes `[bold]` for a style and `:warning:` for a picture,
and a shell splits at blanks.
"""

import io
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import rich.box
import rich.console
import rich.table

PIPED_WIDTH = 120
"""Columns where there is no terminal; in rich's default of 80 a configuration does not fit on a line."""


BROKEN_PIPE = 141
"""The status of a process whose reader has gone, as of one that SIGPIPE has ended (128 + 13)."""


def prepare_streams() -> None:
    """Let no text fail to print: what the encoding lacks is printed as its code, and a closed stream takes it silently.

    A path may hold any bytes, and `PYTHONIOENCODING=ascii` or a minimal locale has no letter beyond ASCII.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the process began
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """Send to nowhere what is left of standard output: Python would try again to write it as it exits, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Console(rich.console.Console):
    """rich's, with an end of its own where nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """End like any program in a pipe whose reader has gone, such as `| head`. A run is resumed as usual."""
        silence_stdout()
        raise SystemExit(BROKEN_PIPE)


def terminal(piped_width: int = PIPED_WIDTH, *, stderr: bool = False) -> Console:
    """A console that prints every text, in sentences and in cells of tables, letter by letter."""
    prepare_streams()
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else piped_width
    return Console(markup=False, emoji=False, highlight=False, width=width, stderr=stderr)


def bare_table(*left: str, right: Iterable[str]) -> rich.table.Table:
    """A table without frames: the columns `left` fold their texts, the columns `right` hold numbers."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def shell_words(*words: object) -> str:
    """Words as they are typed into a shell, such as the path of a run: quoted where they have to be."""
    return shlex.join(map(_typed, words))


def _typed(word: object) -> str:
    """A file whose name begins with a dash would be taken for an option."""
    return f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
