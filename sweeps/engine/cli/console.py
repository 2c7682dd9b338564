"""`teststrip COMMAND`: one name for all commands. What a command needs is loaded when it is called, and nothing else.

teststrip frontier RUN      as python -m analysis frontier RUN
teststrip data SPEC         as python -m enhance.data SPEC
teststrip sweep NAME        as python sweeps/NAME.py
"""

import ast
import difflib
import importlib
import importlib.metadata
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import sweeps
from analysis.commands import COMMANDS
from sweeps.engine.environment import as_typed

SWEEPS = Path(sweeps.__file__).parent

MODULES = {
    "data": ("enhance.data.__main__", "prepare data for training, and say what it holds"),
    "cost": ("enhance.cost.__main__", "measure what a network costs on this machine"),
    "enhance": ("enhance.photos.__main__", "enhance photographs with a trained network"),
    "closed-form": ("enhance.closed_form.__main__", "fit colors without training: what a network has to beat"),
    "doctor": ("sweeps.engine.doctor", "check what this machine, or a cluster, can run"),
    "replay": ("sweeps.engine.replay.command", "search recorded curves again, in simulated time"),
}
"""Modules with a `main(argv, program)` that returns the exit status, and what they do."""

SWEEP, PRINT = "sweep", "print"
PRINT_MODULE, PRINT_TEXT = (
    "sweeps.engine.prints.command",
    "train one configuration of a run to the end, and keep its weights",
)
USAGE = 2
"""The exit status of a command line that cannot be understood."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the command line) names, and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    name, *rest = words
    if name == "--version":
        print(f"teststrip {importlib.metadata.version('teststrip')}")
        return 0
    if name in COMMANDS:
        # Imported here, because it loads pandas.
        from analysis.__main__ import main as analyze

        return analyze(words, program="teststrip")
    if name in (*MODULES, PRINT):
        module = importlib.import_module(MODULES[name][0] if name in MODULES else PRINT_MODULE)
        status: int = module.main(rest, program=f"teststrip {name}")
        return status
    if name == SWEEP:
        return _sweep(rest)
    return _refuse("command", name, [*COMMANDS, *MODULES, SWEEP, PRINT], rest)


def help_text() -> str:
    """All commands, by what they are for."""
    groups = {
        "Run a sweep": {SWEEP: "run a sweep; without a name, list them", PRINT: PRINT_TEXT},
        "Prepare and check": {name: MODULES[name][1] for name in ("data", "closed-form", "cost", "doctor")},
        "Read a run": COMMANDS,
        "Use a network": {"enhance": MODULES["enhance"][1]},
        "Try other ways of searching": {"replay": MODULES["replay"][1]},
    }
    lines = ["usage: teststrip COMMAND ...    (teststrip COMMAND --help says more; --version)"]
    for title, commands in groups.items():
        lines += ["", f"{title}:", *_columns(commands)]
    return "\n".join(lines)


def sweep_questions() -> dict[str, str]:
    """The sweeps of the project by name, each with the first line of its file, which is its question."""
    # Parsed, not imported: a list of names should not load Optuna and the networks.
    paths = sorted(path for path in SWEEPS.glob("*.py") if path.stem != "__init__")
    texts = {path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in paths}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def _sweep(words: Sequence[str]) -> int:
    """Run a sweep as `python sweeps/NAME.py` does; a file of the user's own goes by its path."""
    if not words or words[0] in ("-h", "--help"):
        print("usage: teststrip sweep NAME [options]    (NAME --help lists the options)\n\nThe sweeps:")
        print("\n".join(_columns(sweep_questions())))
        return 0
    name, *rest = words
    path = Path(name) if name.endswith(".py") else SWEEPS / f"{name}.py"
    if not path.is_file() or path.stem == "__init__":
        return _refuse("sweep", name, list(sweep_questions()), rest)
    # A script prints how it is resumed, with the name by which it was started: that of `sys.argv`.
    before, sys.argv = sys.argv, [as_typed(path), *rest]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as leaving:
        # As Python does it: a number is the status, a text means 1, and None means 0.
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    finally:
        sys.argv = before
    return 0


def _refuse(what: str, name: str, choices: Sequence[str], rest: Sequence[str]) -> int:
    near = difflib.get_close_matches(name, choices, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    message = f"{name!r} is not a {what}; {hint}Choose from {', '.join(choices)}"
    # A program that asked for JSON reads standard output, whether or not it got the name of the command right.
    if "--json" in rest:
        # Imported here, because it loads numpy.
        from enhance.json_output import error_text

        print(error_text(message, "usage"))
    else:
        print(f"teststrip: {message}", file=sys.stderr)
    return USAGE


def _columns(texts: Mapping[str, str]) -> list[str]:
    width = max(map(len, texts))
    return [f"  {name:<{width}}  {text}" for name, text in texts.items()]


if __name__ == "__main__":
    sys.exit(main())
