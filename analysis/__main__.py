"""`python -m analysis COMMAND RUN`: read the ledger of a run and show what it says."""

import argparse
import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from analysis.commands import COMMANDS
from analysis.json_output import FLAG, Parser, answer_text, error_text, kind_of
from analysis.ledger.load import LedgerError
from analysis.output import say_notes
from analysis.screen import BROKEN_PIPE, prepare_streams, silence_stdout


def main(arguments: Sequence[str] | None = None, program: str = "python -m analysis") -> int:
    """Run one command. The exit code: 0, or 2 with one sentence on standard error (with --json: an object on stdout).

    It is 141 where the reader of the output has gone, as behind `| head`. `program` is what the help calls the command.
    """
    prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(words, program).parse_args(words)
    try:
        with _late_notes_said():
            answer = options.command(options)
            if options.json:
                print(answer_text(options.name, answer.numbers))
            else:
                answer.say()
            # Here, where a reader that has gone causes no traceback.
            sys.stdout.flush()
    # Before OSError, of which it is one.
    except BrokenPipeError:
        silence_stdout()
        return BROKEN_PIPE
    except (LedgerError, OSError) as error:
        # What was left out may be the reason of the error; only a LedgerError has notes.
        say_notes(getattr(error, "notes", ()))
        if options.json:
            print(error_text(str(error), kind_of(error)))
        else:
            print(f"{program.split()[-1]}: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _late_notes_said() -> Iterator[None]:
    """Print on standard error what turns out to be damaged only while it is read, which the ledger logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("note: %(message)s"))
    logger = logging.getLogger("analysis.ledger.load")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _parser(words: Sequence[str], program: str) -> argparse.ArgumentParser:
    """The parser of all commands; only the one that is called is loaded, since some bring large libraries."""
    parser = Parser(prog=program, description="Analyze the ledger of a run.", words=words)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, words=words)
        # No option comes before the command, so the first word names it.
        if name in words[:1]:
            module = importlib.import_module(f"analysis.commands.{name.replace('-', '_')}")
            module.add_options(command)
            command.add_argument(FLAG, action="store_true", help="print one JSON object instead (docs/json.md)")
            command.set_defaults(command=module.run, name=name)
    return parser


if __name__ == "__main__":
    sys.exit(main())
