"""What `--json` prints: one object on standard output, the answer of a command or an error (docs/json.md)."""

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
import pandas as pd

from analysis.ledger.files import LedgerError
from analysis.ledger.location import StoreError, StorePath

VERSION = 1
"""Incremented when a key is removed or changes its meaning; new keys may be added at any time."""

FLAG = "--json"


class Parser(argparse.ArgumentParser):
    """A parser that reports errors as JSON if the command line asks for JSON."""

    def __init__(self, *args: Any, words: Sequence[str] = (), **options: Any) -> None:
        """`words` are the command line, in which the flag is looked for: an invalid one has no parsed options."""
        super().__init__(*args, **options)
        self._words = words

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        if FLAG in self._words:
            sys.stdout.write(error_text(message, "usage") + "\n")
            sys.exit(2)
        super().error(message)


def answer_text(command: str, fields: Mapping[str, object]) -> str:
    """The answer of a command as JSON, with `plain` values."""
    return json.dumps({"command": command, "version": VERSION, **_mapping(fields)}, indent=2, allow_nan=False)


def error_text(message: str, kind: str) -> str:
    """An error as JSON."""
    return json.dumps({"error": {"message": message, "kind": kind}}, indent=2)


def kind_of(error: LedgerError | OSError) -> str:
    """Which kind of error it is: "ledger" (the run cannot answer), "store" (an object store), "system" (files)."""
    if isinstance(error, LedgerError):
        return "ledger"
    return "store" if isinstance(error, StoreError) else "system"


def plain(value: object) -> Any:
    """`value` as JSON can hold it, with all digits.

    Frames become lists of records, times ISO 8601, paths texts. Whatever is missing or not finite becomes None, since
    JSON has no NaN and no infinity. Raises TypeError for any other type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    # NaT before datetime, which it is an instance of.
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path | StorePath):
        return str(value)
    return _container(value)


def _container(value: object) -> Any:
    if isinstance(value, pd.DataFrame):
        return [_mapping(row) for row in value.to_dict("records")]
    # `is_dataclass` holds for classes too.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    # A named tuple becomes an object, so that its names survive; it would pass for a list below.
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _mapping(value._asdict())
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON; convert {value!r} first")


def _mapping(value: Mapping[Any, object]) -> dict[str, Any]:
    return {str(name): plain(own) for name, own in value.items()}
