"""`python -m analysis COMMAND RUN`: read the ledger of a run and show what it says."""

import argparse
import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from analysis.commands import COMMANDS
from analysis.ledger.load import LedgerError
from analysis.output import say_notes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit code: 0, or 2 with one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(words).parse_args(words)
    try:
        with _late_notes_said():
            options.command(options)
    except (LedgerError, OSError) as error:
        say_notes(getattr(error, "notes", ()))
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _late_notes_said() -> Iterator[None]:
    """Say what is found damaged only when it is read, which the ledger logs, as other notes are said."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("note: %(message)s"))
    logger = logging.getLogger("analysis.ledger.load")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands; only the one that is called is loaded, since some bring large libraries."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Read the ledger of a run.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in words[:1]:
            module = importlib.import_module(f"analysis.commands.{name.replace('-', '_')}")
            module.add_options(command)
            command.set_defaults(command=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
