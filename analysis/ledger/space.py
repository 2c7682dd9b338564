"""The search space of a run, from its contract: what was varied, over which range, and under which condition.

A conditional parameter has a value in every configuration, even where its condition does not hold and the value has no
effect (another optimizer's `beta1`). So ask the space, not the columns, whether a parameter counts.
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
    """One searched leaf: either a range from `low` to `high` (both included), or a list of `choices`.

    `log`: uniform in the logarithm. `step`: integers in steps of this size; None: real numbers. With a `condition`,
    the name and some values of another parameter, it counts only if that parameter counts and has one of them.
    """

    name: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    step: int | None = None
    choices: tuple[Value, ...] = ()
    condition: tuple[str, tuple[Value, ...]] | None = None

    @property
    def column(self) -> str:
        """The ledger column of the parameter."""
        return f"config.{self.name}"

    @property
    def ordered(self) -> bool:
        """Whether its values have an order: a range, or choices that are all numbers."""
        return not self.choices or all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.choices)

    def value(self, there: Any) -> Value:
        """`there` as the space spells it, since pandas turns 3 into 3.0 beside nulls. Raises ValueError if outside."""
        if self.choices:
            # In Python True == 1, so a choice of 1 would match a recorded true.
            same = [own for own in self.choices if own == there and isinstance(own, bool) == _is_bool(there)]
            if not same:
                raise ValueError(f"{self.name}={there!r} is none of {', '.join(map(str, self.choices))}")
            return same[0]
        if isinstance(there, str) or pd.isna(there) or not self.low <= there <= self.high:
            raise ValueError(f"{self.name}={there!r} lies outside {self.low:g} to {self.high:g}")
        return float(there) if self.step is None else int(there)


def space(ledger: Ledger) -> tuple[Parameter, ...]:
    """The searched parameters of a run: first those without a condition, then the others, in the contract's order.

    Raises LedgerError if the contract lacks the space or has a range that this reader does not know.
    """
    entries = contract(ledger, "space")
    try:
        found = [_parameter(name, entry) for name, entry in entries.items()]
        # `sorted` is stable, so the contract's order remains among equals.
        return tuple(sorted(found, key=lambda own: len(conditions(own, found))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"the space in the contract of {ledger.path} cannot be read: {error}") from error


def counts(frame: pd.DataFrame, parameter: Parameter, parameters: Sequence[Parameter]) -> NDArray[np.bool_]:
    """A mask (n,) of the rows of `frame` (columns `config.*`) in which `parameter` counts: its conditions hold."""
    mask = np.ones(len(frame), dtype=np.bool_)
    for name, values in conditions(parameter, parameters):
        column = f"config.{name}"
        # A column that is missing from all trials cannot fulfill a condition.
        mask &= frame[column].isin(values).to_numpy(dtype=np.bool_) if column in frame.columns else False
    return mask


def conditions(parameter: Parameter, parameters: Sequence[Parameter]) -> tuple[tuple[str, tuple[Value, ...]], ...]:
    """All conditions for `parameter` to count, including those of its condition; outermost first."""
    by_name = {own.name: own for own in parameters}
    found: list[tuple[str, tuple[Value, ...]]] = []
    while parameter.condition is not None:
        found.append(parameter.condition)
        parameter = by_name[parameter.condition[0]]
    return tuple(reversed(found))


def conditions_text(conditions: Sequence[tuple[str, tuple[Value, ...]]]) -> str:
    """The conditions as text, such as "optimizer.name = adam | adamw"; empty if there are none."""
    return " and ".join(f"{name} = {' | '.join(map(str, values))}" for name, values in conditions)


# --- reading -----------------------------------------------------------------------------------------------------


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    """A parameter from its entry in the contract, such as {"kind": "log", "low": 1, "high": 2}. Raises ValueError."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{name}: {entry!r} is not a JSON object")
    condition, own = None, entry
    if entry.get("kind") == WHEN:
        value, own = entry["value"], entry["range"]
        condition = (entry["name"], tuple(value) if isinstance(value, list) else (value,))
    kind = own["kind"]
    # A field more than expected could change what the range means, so it is not ignored.
    if kind not in RANGES or set(own) != {"kind", *RANGES[kind]}:
        raise ValueError(f"{name}: {dict(entry)} is none of {', '.join(RANGES)}, or one of them under {WHEN!r}")
    if kind == "choice":
        return Parameter(name, choices=tuple(own["values"]), condition=condition)
    low, high, step = float(own["low"]), float(own["high"]), own.get("step")
    return Parameter(name, low, high, kind == "log", step, condition=condition)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)
