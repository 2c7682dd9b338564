"""`python -m analysis COMMAND RUN`: read the ledger of a run and show what it says."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from analysis.commands import COMMANDS
from analysis.load import LedgerError
from analysis.output import say_notes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit code: 0, or 2 with one sentence on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(words).parse_args(words)
    try:
        options.command(options)
    except (LedgerError, OSError) as error:
        say_notes(getattr(error, "notes", ()))
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


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
