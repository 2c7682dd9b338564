"""Estimates drawn beside their rows: a dot and its interval on a line that all rows of a table share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_DIGITS = 1


class Mark(NamedTuple):
    """Places on the line in percent of its length; `low` and `high` are None where there is no interval.

    `cut` says that an end of the interval lies beyond the line.
    """

    at: float
    low: float | None
    high: float | None
    strong: bool
    cut: bool


class Marks(NamedTuple):
    """A mark per row (None: nothing to draw), where zero is in percent (None: nowhere), the texts of the two ends."""

    rows: Sequence[Mark | None]
    zero: float | None
    ends: tuple[str, str]

    @classmethod
    def of(
        cls,
        mean: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        strong: Sequence[bool],
        span: tuple[float, float],
        zero: float | None,
        ends: tuple[str, str],
    ) -> "Marks":
        """The marks of n estimates with intervals (NaN: none) on a line from `span[0]` to `span[1]`, in one unit.

        What lies beyond the line is drawn at its end.
        """
        wide = span[1] - span[0] or 1.0
        columns = (np.asarray(values, dtype=np.float64) for values in (mean, low, high))
        shares = [100 * (values - span[0]) / wide for values in columns]
        rows = [_mark(at, start, end, sure) for at, start, end, sure in zip(*shares, strong, strict=True)]
        return cls(rows, None if zero is None else round(100 * (zero - span[0]) / wide, _DIGITS), ends)


def _mark(at: float, low: float, high: float, strong: bool) -> Mark | None:
    if np.isnan(at):
        return None
    if np.isnan(low) or np.isnan(high):
        return Mark(_place(at), None, None, bool(strong), False)
    return Mark(_place(at), _place(low), _place(high), bool(strong), bool(low < 0 or high > 100))


def _place(share: float) -> float:
    return round(float(np.clip(share, 0, 100)), _DIGITS)
