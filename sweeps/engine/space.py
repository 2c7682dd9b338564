"""Search spaces: what a sweep varies, each under the flat name of a configuration leaf.

    SPACE = {
        "loss.color": Log(0.1, 10.0),
        "optimizer.lr": Log(1e-5, 1e-2),
        "net.channels": Choice(16, 32, 64),
        "optimizer.name": Choice("adam", "sgd"),
        "optimizer.momentum": When("optimizer.name", ("sgd", "rmsprop"), Uniform(0.0, 0.99)),
    }

A range knows its Optuna distribution and its corners: if these are valid, the whole range is. They are checked against
the domain of the leaf before anything runs.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from enhance.config import VARIANTS, ConfigError, Scalar, domains, unknown_leaf

CORNERS = 50
"""An Integer range with more than twice as many values is checked by so many at either end. Not only by its two ends,
since a domain may ask for odd numbers, or for multiples."""

MOST_INTEGER = 2**53
"""Beyond this a float, as which Optuna handles it, skips whole numbers."""


class SpaceError(ValueError):
    """A search space that cannot be searched; `problems` holds a sentence for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the search space is wrong:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclass(frozen=True)
class Uniform:
    """A number between `low` and `high`, ends included, every part equally likely."""

    low: float
    high: float

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high)

    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high)

    def corners(self) -> tuple[Scalar, ...]:
        return (float(self.low), float(self.high))

    def contains(self, value: Scalar) -> bool:
        # In Python a bool is an int too; as a number it would be a mistake.
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def problems(self) -> list[str]:
        return _ordered(self.low, self.high)


@dataclass(frozen=True)
class Log(Uniform):
    """A number between `low` > 0 and `high`, every factor equally likely (for rates and weights)."""

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=True)

    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high, log=True)

    def problems(self) -> list[str]:
        return _ordered(self.low, self.high) + ([] if self.low > 0 else [f"low={self.low} must be > 0 in a Log range"])


@dataclass(frozen=True)
class Integer:
    """A whole number between `low` and `high`, ends included, in steps of `step`."""

    low: int
    high: int
    step: int = 1

    def suggest(self, trial: optuna.Trial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, step=self.step)

    def distribution(self) -> BaseDistribution:
        return IntDistribution(self.low, self.high, step=self.step)

    @property
    def values(self) -> range:
        """Every value."""
        return range(self.low, self.high + 1, self.step)

    def corners(self) -> tuple[Scalar, ...]:
        values = self.values
        return tuple(values) if len(values) <= 2 * CORNERS else (*values[:CORNERS], *values[-CORNERS:])

    def contains(self, value: Scalar) -> bool:
        return type(value) is int and value in self.values

    def problems(self) -> list[str]:
        if any(type(value) is not int for value in (self.low, self.high, self.step)):
            return [f"low={self.low}, high={self.high}, step={self.step} must be whole numbers"]
        if max(abs(self.low), abs(self.high)) > MOST_INTEGER:
            return [f"low={self.low} and high={self.high} must lie within {MOST_INTEGER:,} of 0"]
        # Optuna would lower `high` to the last value, with a warning.
        if self.step < 1 or (self.high - self.low) % self.step:
            return [f"step={self.step} must be >= 1 and divide high - low = {self.high - self.low}"]
        return _ordered(self.low, self.high)


@dataclass(frozen=True, init=False)
class Choice:
    """One of the given values, all of one kind."""

    values: tuple[Scalar, ...]

    def __init__(self, *values: Scalar) -> None:
        # So that one writes `Choice(16, 32)`, not `Choice((16, 32))`. A frozen class can only be filled like this.
        object.__setattr__(self, "values", values)

    def suggest(self, trial: optuna.Trial, name: str) -> Scalar:
        return cast(Scalar, trial.suggest_categorical(name, self.values))

    def distribution(self) -> BaseDistribution:
        return CategoricalDistribution(self.values)

    def corners(self) -> tuple[Scalar, ...]:
        return self.values

    def contains(self, value: Scalar) -> bool:
        # Python holds 1, 1.0 and True for equal, a configuration does not.
        return any(value == own and type(value) is type(own) for own in self.values)

    def problems(self) -> list[str]:
        if not self.values:
            return ["a Choice needs at least one value"]
        if wrong := [value for value in self.values if not isinstance(value, bool | int | float | str)]:
            return [f"{wrong[0]!r} cannot be a value of a Choice, which holds words and numbers, as in Choice(4, 8)"]
        return [] if len(set(self.values)) == len(self.values) else [f"the values of {self.values} must differ"]


Range = Uniform | Log | Integer | Choice


@dataclass(frozen=True)
class When:
    """`range` applies only where the parameter `name` was given `value`; elsewhere the leaf keeps its base value.

    `value` may be a tuple: then any of its values will do.
    """

    name: str
    value: Scalar | tuple[Scalar, ...]
    range: Range

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The values of `name` with which the range applies."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the range applies beside `values`."""
        return values.get(self.name) in self.values


Space = Mapping[str, Range | When]


def inner(entry: Range | When) -> Range:
    """The range of an entry, conditional or not."""
    return entry.range if isinstance(entry, When) else entry


def entry_problems(space: Any) -> list[str]:
    """A sentence for each entry of what should be a Space that is not a range; empty if all are."""
    if not isinstance(space, Mapping):
        return [f"its space must be a dictionary of ranges by parameter name, not {space!r}"]
    return [
        f"{name}: {inner(entry)!r} is not a range; choose from Uniform(low, high), Log(low, high), Integer(low, high) "
        "and Choice(value, value, ...)"
        for name, entry in space.items()
        if not isinstance(inner(entry), Range)
    ]


def space_problems(space: Space, fixed: Mapping[str, Scalar]) -> list[str]:
    """Every reason why `space` cannot be searched around the `fixed` leaves; empty if it can.

    A leaf must be valid for every variant ("net.family", "optimizer.name") that can hold when it is searched.
    """
    problems: dict[str, None] = {}  # an ordered set
    for name, entry in space.items():
        found = [f"{name}: {problem}" for problem in inner(entry).problems()]
        if isinstance(entry, When):
            found += _condition_problems(name, entry, space)
        # A range that is wrong in itself has no corners to hold against a domain.
        problems |= dict.fromkeys(found or _domain_problems(name, space, fixed))
    return list(problems)


def _domain_problems(name: str, space: Space, fixed: Mapping[str, Scalar]) -> list[str]:
    found = []
    for given in variants(name, space, fixed):
        try:
            known = domains(given)
        except ConfigError as error:
            return list(error.problems)
        if name not in known:
            found.append(unknown_leaf(name, known))
        else:
            found += [p for corner in inner(space[name]).corners() if (p := known[name].problem(name, corner))]
    return found


def variants(name: str, space: Space, fixed: Mapping[str, Scalar]) -> list[dict[str, Scalar]]:
    """The choices of variants under which `name` is searched: fixed, by its conditions, or each that is searched.

    For a name outside the space there are no conditions.
    """
    return [own for reached in _reached(name, space) for own in _variants(name, space, fixed, reached)]


def _variants(
    name: str, space: Space, fixed: Mapping[str, Scalar], reached: Mapping[str, Scalar]
) -> list[dict[str, Scalar]]:
    given = {key: fixed[key] for key in VARIANTS if key in fixed} | dict(reached)
    # Only variants of its own part decide about a leaf: what the optimizer is does not change the network's leaves.
    part = name.split(".")[0]
    free = [key for key in space if key in VARIANTS and key not in given and key.split(".")[0] == part]
    choices = itertools.product(*(inner(space[key]).corners() for key in free))
    return [given | dict(zip(free, choice, strict=True)) for choice in choices]


def corner_points(space: Space) -> Iterator[dict[str, Scalar]]:
    """Points that together have every corner of every range: each range in turn, the others at their first corner."""
    # Not every combination, of which there may be millions.
    start = {name: inner(entry).corners()[0] for name, entry in space.items()}
    for name, entry in space.items():
        for reached, corner in itertools.product(_reached(name, space), inner(entry).corners()):
            yield chosen(space, start | reached | {name: corner})


def _reached(name: str, space: Space) -> list[dict[str, Scalar]]:
    """The values of other entries under which `name` is searched: every combination of them."""
    needed: dict[str, tuple[Scalar, ...]] = {}
    entry: Range | When | None = space.get(name)
    # A condition may stand under another one. This ends, since each names an earlier entry.
    while isinstance(entry, When):
        needed[entry.name] = entry.values
        entry = space.get(entry.name)
    return [dict(zip(needed, values, strict=True)) for values in itertools.product(*needed.values())]


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Scalar]:
    """The values that the study's sampler picks for `trial`, conditions respected.

    Conditions refer to earlier entries only (see `space_problems`), so one pass in the order of the space is enough.
    """
    values: dict[str, Scalar] = {}
    for name, entry in space.items():
        if isinstance(entry, When) and not entry.holds(values):
            continue
        values[name] = inner(entry).suggest(trial, name)
    return values


def chosen(space: Space, values: Mapping[str, Any]) -> dict[str, Scalar]:
    """The point of the space at a configuration's `values`, without leaves whose condition does not hold."""
    kept: dict[str, Scalar] = {}
    for name, entry in space.items():
        if not isinstance(entry, When) or entry.holds(kept):
            kept[name] = values[name]
    return kept


def without(space: Space, name: str, value: Scalar) -> Space:
    """The space once `name` has been given `value`: conditions on it are resolved."""
    kept: dict[str, Range | When] = {}
    for leaf, entry in space.items():
        if leaf == name:
            continue
        if isinstance(entry, When) and entry.name == name:
            if value in entry.values:
                kept[leaf] = entry.range
        # What stands under a condition that has gone goes too.
        elif not isinstance(entry, When) or entry.name in kept:
            kept[leaf] = entry
    return kept


def pinned(space: Space, name: str, value: Scalar) -> Space:
    """The space with `value` as the only one of `name`, which keeps its condition; conditions on it are resolved."""
    kept: dict[str, Range | When] = {}
    for leaf, entry in space.items():
        if isinstance(entry, When) and (entry.name not in kept or (entry.name == name and value not in entry.values)):
            continue
        if isinstance(entry, When) and entry.name == name:
            entry = replace(entry, value=value)
        only = Choice(value)
        kept[leaf] = entry if leaf != name else replace(entry, range=only) if isinstance(entry, When) else only
    return kept


def contains(space: Space, values: Mapping[str, Scalar]) -> str | None:
    """Why `values` is not a point of `space`, or None if it is one."""
    for name, entry in space.items():
        active = not isinstance(entry, When) or entry.holds(values)
        if active and name not in values:
            return f"{name} has no value"
        if active and not inner(entry).contains(values[name]):
            return f"{name}={values[name]!r} lies outside {inner(entry)!r}"
        if not active and name in values:
            return f"{name} has a value although its condition does not hold"
    extra = [name for name in values if name not in space]
    return f"{', '.join(extra)} not in the space; it has {', '.join(space)}" if extra else None


def _condition_problems(name: str, entry: When, space: Space) -> list[str]:
    earlier = list(space)[: list(space).index(name)]
    if entry.name not in earlier:
        return [f"{name}: its condition names {entry.name!r}, which must come earlier in the space ({earlier})"]
    own = inner(space[entry.name])
    known = own.values if isinstance(own, Integer) else own.corners()
    choices = f"{own.low} to {own.high}" if isinstance(own, Integer) else ", ".join(map(str, known))
    never = [value for value in entry.values if value not in known]
    return [f"{name}: {entry.name} is never {value!r}; choose from {choices}" for value in never]


def _ordered(low: float, high: float) -> list[str]:
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        return [f"low={low!r} and high={high!r} must be numbers"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return [f"low={low} and high={high} must be finite"]
    return [] if low < high else [f"low={low} must be below high={high}"]
