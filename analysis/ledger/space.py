"""The search space of a run, from its contract: what was varied, over which range, and under which condition.

A parameter under a condition has a value in the configuration even where the condition does not hold (another
optimizer's `beta1`); it then decided nothing. So whether it counts is asked of the space, not of the columns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, LedgerError, contract
from analysis.ledger.schema import RANGES, WHEN

Value = str | int | float | bool


@dataclass(frozen=True)
class Parameter:
    """One searched leaf: a range from `low` to `high` (ends included), or the `choices`; one of both.

    `log`: every factor is equally likely. `step`: whole numbers in such steps; None: real numbers. Under a `condition`,
    (name, value) of another parameter, it counts only where that has this value and counts itself.
    """

    name: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    step: int | None = None
    choices: tuple[Value, ...] = ()
    condition: tuple[str, Value] | None = None

    @property
    def column(self) -> str:
        """The column of the ledger that holds it."""
        return f"config.{self.name}"

    @property
    def ordered(self) -> bool:
        """Whether it is a number that lies on an axis: a range, or choices that are all numbers."""
        return not self.choices or all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.choices)

    def value(self, there: Any) -> Value:
        """`there` as the space has it: pandas makes 3 to 3.0 in a column with gaps. Raises ValueError outside of it."""
        if self.choices:
            same = [own for own in self.choices if own == there and isinstance(own, bool) == _is_bool(there)]
            if not same:
                raise ValueError(f"{self.name}={there!r} is none of {', '.join(map(str, self.choices))}")
            return same[0]
        if isinstance(there, str) or pd.isna(there) or not self.low <= there <= self.high:
            raise ValueError(f"{self.name}={there!r} lies outside {self.low:g} to {self.high:g}")
        return float(there) if self.step is None else int(there)


def space(ledger: Ledger) -> tuple[Parameter, ...]:
    """The searched parameters of a run: those without a condition, then the others, both in the contract's order.

    Raises LedgerError where the contract does not say them, or says what is no range that this reader knows.
    """
    entries = contract(ledger, "space")
    try:
        found = [_parameter(name, entry) for name, entry in entries.items()]
        return tuple(sorted(found, key=lambda own: len(conditions(own, found))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"the space in the contract of {ledger.path} cannot be read: {error}") from error


def counts(frame: pd.DataFrame, parameter: Parameter, parameters: Sequence[Parameter]) -> NDArray[np.bool_]:
    """In which rows (n,) of `frame` (columns `config.*`) `parameter` decided anything: its conditions hold."""
    mask = np.ones(len(frame), dtype=np.bool_)
    for name, value in conditions(parameter, parameters):
        column = f"config.{name}"
        mask &= (frame[column] == value).to_numpy(dtype=np.bool_) if column in frame.columns else False
    return mask


def conditions(parameter: Parameter, parameters: Sequence[Parameter]) -> tuple[tuple[str, Value], ...]:
    """What must hold for `parameter` to count, the condition's own conditions included; outermost first."""
    by_name = {own.name: own for own in parameters}
    found: list[tuple[str, Value]] = []
    while parameter.condition is not None:
        found.append(parameter.condition)
        parameter = by_name[parameter.condition[0]]
    return tuple(reversed(found))


def conditions_text(conditions: Sequence[tuple[str, Value]]) -> str:
    """ "optimizer.name = adam"; empty where there are none."""
    return " and ".join(f"{name} = {value}" for name, value in conditions)


# --- reading -----------------------------------------------------------------------------------------------------


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    """A parameter from its entry in the contract, such as {"kind": "log", "low": 1, "high": 2}. Raises ValueError."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{name}: {entry!r} is no JSON object")
    condition, own = None, entry
    if entry.get("kind") == WHEN:
        condition, own = (entry["name"], entry["value"]), entry["range"]
    kind = own["kind"]
    if kind not in RANGES or set(own) != {"kind", *RANGES[kind]}:
        raise ValueError(f"{name}: {dict(entry)} is none of {', '.join(RANGES)}, or one of them under {WHEN!r}")
    if kind == "choice":
        return Parameter(name, choices=tuple(own["values"]), condition=condition)
    low, high, step = float(own["low"]), float(own["high"]), own.get("step")
    return Parameter(name, low, high, kind == "log", step, condition=condition)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)
