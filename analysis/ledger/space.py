"""The search space of a run, from its contract: what was varied, over which range, and under which condition.

A parameter under a condition has a value in the configuration even where the condition does not hold (another
optimizer's `beta1`); it then decided nothing. So whether it counts is asked of the space, not of the columns.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ledger.load import Ledger, LedgerError, contract

Value = str | int | float | bool

_RANGES = {
    "Uniform": ("low", "high"),
    "Log": ("low", "high"),
    "Integer": ("low", "high", "step"),
    "Choice": ("values",),
}


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
        found = [_parameter(name, text) for name, text in entries.items()]
        return tuple(sorted(found, key=lambda own: len(conditions(own, found))))
    except (ValueError, SyntaxError, KeyError, TypeError, AttributeError) as error:
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


def _parameter(name: str, text: str) -> Parameter:
    """A parameter from what a run's contract says of it: `When(name='a', value='b', range=Log(low=1, high=2))`."""
    kind, parts = _call(ast.parse(text, mode="eval").body)
    condition = None
    if kind == "When":
        condition = (parts["name"], parts["value"])
        kind, parts = _call(parts["range"])
    if kind not in _RANGES or set(parts) != set(_RANGES[kind]):
        raise ValueError(f"{name}: {text} is none of {', '.join(_RANGES)}, or one of them When")
    if kind == "Choice":
        return Parameter(name, choices=tuple(parts["values"]), condition=condition)
    low, high, step = float(parts["low"]), float(parts["high"]), parts.get("step")
    return Parameter(name, low, high, kind == "Log", step, condition=condition)


def _call(node: ast.AST) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise ValueError(f"{ast.unparse(node)} is no range")
    values = {word.arg or "": word.value for word in node.keywords}
    return node.func.id, {
        name: value if isinstance(value, ast.Call) else ast.literal_eval(value) for name, value in values.items()
    }


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)
