"""Printing to the terminal, and quoting commands to type into it. Text that is not ours is printed literally.

Paths, labels, questions and reasons may hold anything: rich would take `[bold]` for a style and `:warning:` for an
emoji, and a shell splits at blanks.
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
"""The exit status once the reader of our output has gone: that of a process ended by SIGPIPE (128 + 13)."""


def prepare_streams() -> None:
    """Make every text printable: characters that the encoding lacks appear as escapes, a closed stream swallows all.

    A path may hold any bytes, and `PYTHONIOENCODING=ascii` or a minimal locale has no letter beyond ASCII.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # None: closed before the process began, as by `>&-`.
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
        # A test or a notebook may have put something else in its place, which cannot be reconfigured.
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """Discard what is left of standard output: as it exits, Python would try to write it again, and complain."""
    # On the level of file descriptors, since `sys.stdout` still holds a buffer that it will flush.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Console(rich.console.Console):
    """rich's console, which ends the program once nobody reads its output any more."""

    def on_broken_pipe(self) -> None:
        """End like any program whose reader has gone, such as `| head`. A sweep can be resumed as usual."""
        silence_stdout()
        raise SystemExit(BROKEN_PIPE)


def terminal(piped_width: int = PIPED_WIDTH, *, stderr: bool = False) -> Console:
    """A console that prints every text literally, in sentences and in the cells of tables."""
    prepare_streams()
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else piped_width
    return Console(markup=False, emoji=False, highlight=False, width=width, stderr=stderr)


def bare_table(*left: str, right: Iterable[str]) -> rich.table.Table:
    """A table without frames: the columns `left` fold long text, the columns `right` hold numbers."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def shell_words(*words: object) -> str:
    """Words as they are typed into a shell, such as the path of a run: quoted where necessary."""
    return shlex.join(map(_typed, words))


def _typed(word: object) -> str:
    """A word as text. A path that begins with a dash would be taken for an option, so it gets a leading `./`."""
    return f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
