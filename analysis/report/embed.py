"""Data inside a page: JSON that no text can break out of, with numbers as short as they are meant."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

_DIGITS = 6
# A browser ends a script at "</script", whatever the script's language, and takes "<!--" for a comment; the two
# separators end a line of JavaScript.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def script_json(value: Any) -> str:
    """`value` as JSON that may stand between script tags. Numbers keep 6 digits; what is not finite is null."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return _number(float(value))
    if pd.isna(value):
        return None
    raise TypeError(f"a report holds no {type(value).__name__}")


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
