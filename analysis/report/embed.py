"""JSON that is safe inside a script tag, with numbers rounded to what is worth showing."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

# More than any chart or tooltip shows.
_DIGITS = 6
# HTML ends a script at "</script" and starts a comment at "<!--", even inside a string; U+2028 and U+2029 are line
# terminators in JavaScript.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def script_json(value: Any) -> str:
    """`value` as JSON for use between script tags. Numbers keep 6 significant digits; NaN and infinity become null.

    Raises TypeError for a type that JSON does not know.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, str) or value is None:
        return value
    # Before int, since bool is a subclass of it.
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return _number(float(value))
    if pd.isna(value):
        return None
    raise TypeError(f"a report cannot hold a {type(value).__name__}")


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    # A whole number is written without ".0"; beyond 1e15 the exponent is shorter.
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
