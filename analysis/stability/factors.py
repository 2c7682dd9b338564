"""Factors: the parameters that a sweep searched, with their values grouped into levels."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, LedgerError
from analysis.ledger.space import counts, space
from analysis.ledger.units import value_text
from analysis.statistics.intervals import Floats

MOST_LEVELS = 12
"""Numbers with more distinct values than this are binned."""

BINS = 8


@dataclass(frozen=True)
class Factor:
    """A searched parameter: its name ("optimizer.lr"), whether its scale is logarithmic, and whether it is conditional
    (`bound`), that is, active only under a condition."""

    name: str
    log: bool = False
    bound: bool = False

    @property
    def column(self) -> str:
        """The column of the ledger that holds it."""
        return f"config.{self.name}"

    @property
    def short(self) -> str:
        """The last part of the name; for a critic the whole name, since the generator may have the same parameter."""
        parts = self.name.split(".")
        return " ".join(parts if parts[0].startswith("critic") else parts[-1:]).replace("_", " ")


@dataclass(frozen=True, eq=False)
class Levels:
    """n values as m levels: `code` (n,) with -1 where there is no value, `texts` (m), `low` and `high` ends (m,).

    The ends are NaN where the levels are no numbers, and equal where a level is one number.
    """

    code: NDArray[np.intp]
    texts: list[str]
    low: Floats
    high: Floats

    @property
    def middle(self) -> Floats:
        """Where a level is drawn on a number line, in the geometric middle if both ends are above 0."""
        with np.errstate(invalid="ignore"):
            # `np.where` computes both, and the root of a negative product warns.
            return np.where(self.low > 0, np.sqrt(self.low * self.high), (self.low + self.high) / 2)


def searched_factors(ledgers: Sequence[Ledger]) -> list[Factor]:
    """What the sweeps of the runs searched, in the order of their spaces. Raises LedgerError as `space` does."""
    found = (Factor(own.name, own.log, own.condition is not None) for ledger in ledgers for own in space(ledger))
    # Runs may share a parameter; a dict keeps the order of the first.
    return list({factor.name: factor for factor in found}.values())


def mask_inactive(frame: pd.DataFrame, ledger: Ledger) -> pd.DataFrame:
    """The trials of a run with `config.*` set to missing where the condition of the parameter does not hold."""
    parameters = space(ledger)
    bound = [own for own in parameters if own.condition is not None and own.column in frame.columns]
    return frame.assign(**{own.column: frame[own.column].where(counts(frame, own, parameters)) for own in bound})


def find_factor(name: str, factors: Sequence[Factor]) -> Factor:
    """The factor of that name, "config." before it or not. Raises LedgerError with the choices."""
    wanted = name.removeprefix("config.")
    for factor in factors:
        if factor.name == wanted:
            return factor
    choices = ", ".join(factor.name for factor in factors) or "none: the sweep searched nothing"
    raise LedgerError(f"{name!r} is not a searched parameter; choose from {choices}")


def learning_rate(factors: Sequence[Factor]) -> Factor | None:
    """The generator's learning rate if it was searched, else another one, else None."""
    rates = [factor for factor in factors if factor.name.rsplit(".", 1)[-1].endswith("lr")]
    return min(rates, key=lambda factor: factor.name != "optimizer.lr", default=None)


def levels_of(values: pd.Series, log: bool = False, bins: int = BINS) -> Levels:
    """The different values, ascending; numbers with more than MOST_LEVELS of them in `bins` of equal width.

    In `log` the widths are factors; values that are not above 0 then have no level.
    """
    if _continuous(values):
        return _bins(values.to_numpy(dtype=np.float64, na_value=np.nan), log, bins)
    codes, different = pd.factorize(values, sort=True)
    numbers = [_number(value) for value in different]
    ends = np.asarray(numbers, dtype=np.float64)
    return Levels(np.asarray(codes, dtype=np.intp), [value_text(value) for value in different], ends, ends)


def _continuous(values: pd.Series) -> bool:
    # pandas counts bool as numeric.
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric and values.nunique() > MOST_LEVELS


def _bins(numbers: Floats, log: bool, bins: int) -> Levels:
    known = np.isfinite(numbers) & ((numbers > 0) | (not log))
    spaced = np.geomspace if log else np.linspace
    edges = spaced(numbers[known].min(), numbers[known].max(), bins + 1)
    code = np.full(numbers.size, -1, dtype=np.intp)
    # The largest value lies on the last edge and belongs to the last bin.
    code[known] = np.clip(np.searchsorted(edges, numbers[known], side="right") - 1, 0, bins - 1)
    texts = [f"{low:.2g} to {high:.2g}" for low, high in itertools.pairwise(edges)]
    return Levels(code, texts, edges[:-1], edges[1:])


def _number(value: object) -> float:
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    return float("nan")
