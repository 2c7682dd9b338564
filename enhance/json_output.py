"""What `--json` prints in the commands of this package and of the engine: one object (docs/json.md).

`analysis` has its own, which knows data frames: it imports nothing from here, so that it is installed without torch.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

VERSION = 1
"""Grows when a key changes its meaning or goes away; new keys may come without notice."""

FLAG = "--json"


class Parser(argparse.ArgumentParser):
    """A parser with --json, whose complaints are JSON where the command line asks for JSON."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._words: Sequence[str] = ()
        self.add_argument(FLAG, action="store_true", help="print one JSON object instead (docs/json.md)")

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """As `parse_args`, which does not tell `error` what was typed."""
        # When parsing fails there is no namespace yet to ask for --json.
        self._words = sys.argv[1:] if arguments is None else arguments
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        if FLAG in self._words:
            sys.stdout.write(error_text(message, "usage") + "\n")
            sys.exit(2)
        super().error(message)


def answer_text(command: str, fields: Mapping[str, object]) -> str:
    """The answer of a command as JSON, with `plain` values."""
    whole = {"command": command, "version": VERSION, **{name: plain(value) for name, value in fields.items()}}
    return json.dumps(whole, indent=2, allow_nan=False)


def error_text(message: str, kind: str) -> str:
    """An error as JSON."""
    return json.dumps({"error": {"message": message, "kind": kind}}, indent=2)


def plain(value: object) -> Any:
    """`value` as JSON can hold it, with all digits: times in ISO 8601, paths as texts, None for NaN and infinity.

    Raises TypeError for any other type.
    """
    # First, because most of numpy's scalars are no instances of Python's types.
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        # JSON knows neither NaN nor infinity, though Python's encoder writes them by default.
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON; convert {value!r} first")
