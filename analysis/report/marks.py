"""Small interval plots at the end of table rows: a dot and its interval, on one scale per table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# A tenth of a percent is less than a pixel.
_DIGITS = 1


class Mark(NamedTuple):
    """Positions in percent of the scale; `low` and `high` are None without an interval.

    `cut`: an end of the interval lies beyond the scale.
    """

    at: float
    low: float | None
    high: float | None
    strong: bool
    cut: bool


class Marks(NamedTuple):
    """A mark per row (None: nothing to draw), the position of zero in percent (None: not drawn), and the end labels."""

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
        """The marks of n estimates with intervals (NaN: none) on a scale from `span[0]` to `span[1]`, all in one unit.

        Values beyond the scale are drawn at its end.
        """
        # All estimates equal: any width avoids a division by 0.
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
