"""The project's sweeps, and in `engine` the code that carries them out."""

import sys
from types import TracebackType


def _say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Answer ^C with a sentence, not a traceback, while a script still imports what it needs. Later `main` does so."""
    if issubclass(kind, KeyboardInterrupt) and "sweeps.engine.command" not in sys.modules:
        sys.stderr.write("interrupted before anything was computed\n")
    else:
        sys.__excepthook__(kind, error, trace)


# A program that imports us may have a hook of its own.
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _say_interrupted
