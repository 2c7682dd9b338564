"""The project's sweeps, and in `engine` what carries them out."""

import sys
from types import TracebackType


def _say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """While a script still imports what it needs, ^C is no fault that needs a traceback. `main` handles later ones."""
    if issubclass(kind, KeyboardInterrupt) and "sweeps.engine.command" not in sys.modules:
        sys.stderr.write("interrupted before anything was computed\n")
    else:
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:  # another program has its own way
    sys.excepthook = _say_interrupted
