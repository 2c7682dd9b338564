"""Designs: lists of points of a space, in place of a sampler. Each is a classic experiment.

    Grid(levels=3)               every combination
    Fraction(0.25, seed=0)       a random share of them
    Factorial()                  two levels of every range, every choice: all effects and interactions
    Ablation(base)               `base`, and `base` with one part at a time left out
    OneAtATime(base, levels=3)   `base`, and every other value of one leaf at a time

Conditions (`When`) are respected: a leaf whose condition does not hold has no value at that point.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from enhance.config import Scalar
from sweeps.engine.space import Choice, Integer, Log, Range, Space, Uniform, When, chosen, inner

Point = dict[str, Scalar]
Labelled = tuple[str, Point]

MOST_POINTS = 100_000
"""A design with more points is refused before they are listed."""


class DesignError(ValueError):
    """The design does not fit its space; `problems` has a sentence for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "the design does not fit the space:\n" + "\n".join(f"  - {problem}" for problem in self.problems)
        )


@dataclass(frozen=True, kw_only=True)
class Design(ABC):
    """Different points of a space, always in the same order."""

    def points(self, space: Space) -> list[Labelled]:
        """Each point with its label, "" if it needs none. Raises DesignError."""
        if problems := self.problems(space):
            raise DesignError(problems)
        unique: dict[tuple[tuple[str, Scalar], ...], Labelled] = {}
        for label, values in self._points(space):
            unique.setdefault(tuple(values.items()), (label, values))
        return list(unique.values())

    def size(self, space: Space) -> int:
        """The number of points. Raises DesignError."""
        return len(self.points(space))

    @abstractmethod
    def problems(self, space: Space) -> list[str]:
        """Every reason why the design does not fit `space`; empty if it does."""

    def within(self, space: Space) -> Self:
        """The same design for a `space` of which some leaves were fixed, and some left with one value."""
        return self

    @abstractmethod
    def _points(self, space: Space) -> Iterator[Labelled]: ...


@dataclass(frozen=True)
class _Combinations(Design):
    """Every combination of some values of each leaf, the last leaf of the space changing fastest."""

    def problems(self, space: Space) -> list[str]:
        found = self._range_problems(space)
        if not found and (count := self._count(space)) > MOST_POINTS:
            found.append(f"{count:,} combinations are more than {MOST_POINTS:,}; take fewer values or sampler=random")
        return found

    def size(self, space: Space) -> int:
        if problems := self.problems(space):
            raise DesignError(problems)
        return self._count(space)

    @abstractmethod
    def _values(self, own: Range) -> Sequence[Scalar]: ...

    def _range_problems(self, space: Space) -> list[str]:
        return []

    def _count(self, space: Space) -> int:
        return _count(space, {name: self._values(inner(entry)) for name, entry in space.items()})

    def _points(self, space: Space) -> Iterator[Labelled]:
        for values in _combine(space, {name: self._values(inner(entry)) for name, entry in space.items()}):
            yield "", values


@dataclass(frozen=True)
class Grid(_Combinations):
    """Every combination of values.

    `levels` values represent each Uniform and Log range: its ends and others, equally spaced (Log: in the logarithm).
    """

    levels: int = field(default=0, kw_only=True)

    def within(self, space: Space) -> Self:
        return replace(super().within(space), levels=_levels_within(space, self.levels))

    def _values(self, own: Range) -> Sequence[Scalar]:
        return levels_of(own, self.levels)

    def _range_problems(self, space: Space) -> list[str]:
        return _level_problems(space, self.levels)


@dataclass(frozen=True)
class Fraction(Grid):
    """A `share` (0 to 1, at least one point) of the grid, drawn without replacement by a generator of `seed`.

    The points come in the order drawn, so that the first n are a random sample too.
    """

    share: float
    seed: int = 0

    def problems(self, space: Space) -> list[str]:
        wrong = [] if 0 < self.share <= 1 else [f"share={self.share!r} of the grid must be above 0 and at most 1"]
        return wrong + super().problems(space)

    def size(self, space: Space) -> int:
        # Of a tiny grid, a small share would round to nothing.
        return max(1, round(self.share * super().size(space)))

    def _points(self, space: Space) -> Iterator[Labelled]:
        everything = list(super()._points(space))
        order = np.random.default_rng(self.seed).permutation(len(everything))
        return (everything[index] for index in order[: self.size(space)])


@dataclass(frozen=True)
class Factorial(_Combinations):
    """The full factorial: both ends of every range and every value of a Choice, in every combination."""

    def _values(self, own: Range) -> Sequence[Scalar]:
        # The corners of an Integer are more than its ends.
        return own.corners() if isinstance(own, Choice) else (own.corners()[0], own.corners()[-1])


@dataclass(frozen=True)
class _Around(Design):
    """`base`, then points that differ from it in one leaf, and in leaves under a condition on that one."""

    base: Mapping[str, Scalar]

    def problems(self, space: Space) -> list[str]:
        return _base_problems(space, self.base) or self._other_problems(space)

    def within(self, space: Space) -> Self:
        return replace(self, base=_values_within(space, self.base))

    @abstractmethod
    def _other_problems(self, space: Space) -> list[str]: ...

    @abstractmethod
    def _others(self, name: str, own: Range) -> list[Scalar]: ...

    def _points(self, space: Space) -> Iterator[Labelled]:
        base = chosen(space, self.base)
        yield "base", base
        for name in base:
            for value in self._others(name, inner(space[name])):
                yield f"{name}={value}", chosen(space, {**self.base, name: value})


@dataclass(frozen=True)
class OneAtATime(_Around):
    """`base`, then for every leaf of it each other value, all other leaves as in `base`.

    `base` has a value for every leaf, even for one whose condition holds only after a change. `levels` as in Grid.
    """

    levels: int = field(default=0, kw_only=True)

    def within(self, space: Space) -> Self:
        return replace(super().within(space), levels=_levels_within(space, self.levels))

    def _other_problems(self, space: Space) -> list[str]:
        return _level_problems(space, self.levels)

    def _others(self, name: str, own: Range) -> list[Scalar]:
        return [value for value in levels_of(own, self.levels) if value != self.base[name]]


@dataclass(frozen=True)
class Ablation(_Around):
    """Leave one out: `base`, then `base` with one leaf at a time switched off.

    A leaf is switched off by its value in `off`, else by False, 0 or "none" if its range has one of them. A leaf that
    has no such value, or is off in `base`, is given each of its other values; an infinite range needs its `off`. `base`
    has a value for every leaf, even for one whose condition holds only after a change.
    """

    off: Mapping[str, Scalar] = field(default_factory=dict)

    def within(self, space: Space) -> Self:
        return replace(super().within(space), off=_values_within(space, self.off))

    def _other_problems(self, space: Space) -> list[str]:
        found = [
            f"off: {name} is not in the space; it has {', '.join(space)}" for name in self.off if name not in space
        ]
        changed = chosen(space, self.base)
        for name, entry in space.items():
            own = inner(entry)
            if name in self.off and not own.contains(self.off[name]):
                found.append(f"off: {name}={self.off[name]!r} lies outside {own!r}")
            elif name in changed and endless(own) and self._off(name, own) in (None, self.base[name]):
                found.append(f"{name}: {own!r} has no value that switches it off from base; give off={{{name!r}: ...}}")
        return found

    def _off(self, name: str, own: Range) -> Scalar | None:
        # 0.0 and 0 are not the same here: a Choice contains only values of its own type.
        usual = next((value for value in (False, 0.0, 0, "none") if own.contains(value)), None)
        return self.off.get(name, usual)

    def _others(self, name: str, own: Range) -> list[Scalar]:
        off = self._off(name, own)
        if off is None or off == self.base[name]:
            return [value for value in _all_values(own) if value != self.base[name]]
        return [off]


def endless(own: Range) -> bool:
    """Whether a range has infinitely many values."""
    return isinstance(own, Uniform)


def _all_values(own: Range) -> Sequence[Scalar]:
    """Every value of a finite range; the ends of an infinite one."""
    return own.values if isinstance(own, Integer) else own.corners()


def levels_of(own: Range, levels: int) -> Sequence[Scalar]:
    """All values of a finite range; `levels` values of an infinite one, including its ends."""
    if not endless(own):
        return _all_values(own)
    low, high = (float(corner) for corner in own.corners())
    spaced = np.geomspace(low, high, levels) if isinstance(own, Log) else np.linspace(low, high, levels)
    # The ends as they were given: rounding could put them outside the range.
    return (low, *(float(value) for value in spaced[1:-1]), high)


def _combine(space: Space, values: Mapping[str, Sequence[Scalar]]) -> Iterator[Point]:
    """Every combination of `values`, respecting conditions, which refer to earlier leaves only."""
    # Not `itertools.product`, which knows no conditions and would repeat a point for each value of a leaf it lacks.
    partial: list[Point] = [{}]
    for name, entry in space.items():
        grown: list[Point] = []
        for point in partial:
            if isinstance(entry, When) and not entry.holds(point):
                grown.append(point)
            else:
                grown += [{**point, name: value} for value in values[name]]
        partial = grown
    return iter(partial)


def _count(space: Space, values: Mapping[str, Sequence[Scalar]]) -> int:
    """The number of combinations, without listing them: by its conditions the space is a forest of leaves."""

    def below(name: str, value: Scalar) -> int:
        children = (
            leaf
            for leaf, entry in space.items()
            if isinstance(entry, When) and entry.name == name and value in entry.values
        )
        return math.prod(combinations(child) for child in children)

    def combinations(name: str) -> int:
        # Only values that a condition names have leaves below them: a range of millions is counted without a loop. Such
        # a value stands for as many combinations as its leaves have, instead of for one.
        own = [entry for entry in space.values() if isinstance(entry, When) and entry.name == name]
        named = {value for entry in own for value in entry.values}
        return len(values[name]) + sum(below(name, value) - 1 for value in named if value in values[name])

    return math.prod(combinations(name) for name, entry in space.items() if not isinstance(entry, When))


def _levels_within(space: Space, levels: int) -> int:
    """The levels, or none if the space has no infinite range left that needs them."""
    return levels if any(endless(inner(entry)) for entry in space.values()) else 0


def _values_within(space: Space, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The values of the leaves that are left; a range with a single value gives that one."""
    ranges = {name: inner(space[name]) for name in values if name in space}
    only = {name: own.values[0] for name, own in ranges.items() if isinstance(own, Choice) and len(own.values) == 1}
    return {name: only.get(name, values[name]) for name in ranges}


def _level_problems(space: Space, levels: int) -> list[str]:
    ranges = [name for name, entry in space.items() if endless(inner(entry))]
    if levels and levels < 2:
        return [f"levels={levels} must be 2 or more"]
    if levels and not ranges:
        return [f"levels={levels} has no meaning here: every range of the space has finitely many values"]
    if ranges and not levels:
        return [
            f"{name}: {inner(space[name])!r} has no finite number of values; give levels=2 or more" for name in ranges
        ]
    return []


def _base_problems(space: Space, base: Mapping[str, Scalar]) -> list[str]:
    found = [f"base: {name} is not in the space; it has {', '.join(space)}" for name in base if name not in space]
    for name, entry in space.items():
        if name not in base:
            found.append(f"base: {name} has no value; every leaf of the space needs one")
        elif not inner(entry).contains(base[name]):
            found.append(f"base: {name}={base[name]!r} lies outside {inner(entry)!r}")
    return found
