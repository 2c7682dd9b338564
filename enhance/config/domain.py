"""Domains: the values a leaf of a configuration may take, and the error that reports the ones it may not."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Scalar = bool | int | float | str


class ConfigError(ValueError):
    """An invalid configuration; `problems` holds one sentence for each thing wrong with it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{title} in the configuration:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """The values of one leaf: a type, and either a set of choices or a range.

    A string with a `prefix` may also be anything that starts with it ("file:", for example).
    """

    kind: type[bool] | type[int] | type[float] | type[str]
    choices: tuple[Scalar, ...] = ()
    prefix: str = ""
    minimum: float = -math.inf
    above: float = -math.inf
    maximum: float = math.inf
    odd: bool = False

    def parse(self, text: str) -> Scalar:
        """`text` converted to this type, or `text` itself if it does not convert; `problem` then rejects it."""
        if self.kind is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        try:
            value: Scalar = self.kind(text)
        except ValueError:
            return text
        return value

    def problem(self, name: str, value: object) -> str | None:
        """Why `value` is not allowed for `name`, in one sentence; None if it is allowed."""
        if self.choices:
            # 1 == 1.0 == True, so membership alone would let values of another type through.
            if value in self.choices and type(value) is self.kind:
                return None
            # The prefix alone names nothing.
            if self.prefix and isinstance(value, str) and value.startswith(self.prefix) and value != self.prefix:
                return None
            more = f", {self.prefix}..." if self.prefix else ""
            return f"{name}={value!r} is not a choice; choose from {join_names(self.choices)}{more}"
        # `type`, not isinstance, which takes True and False for ints.
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            return f"{name}={value!r} must be {_A[self.kind]}, not {type(value).__name__}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name}={value!r} must be finite"
        # Ahead of the range below, which would apply to a bool as well.
        if isinstance(value, bool | str):
            return None
        if isinstance(value, int | float) and self.allows(value):
            return None
        return f"{name}={value!r} is not allowed: it must be {self.describe()}"

    def allows(self, value: float) -> bool:
        """Whether a number is in the range, and odd if it must be."""
        return self.minimum <= value <= self.maximum and value > self.above and (not self.odd or value % 2 == 1)

    def describe(self) -> str:
        """The domain of a number in words, such as "a whole number from 1 to 15" or "a number above 0"."""
        kind = _A[self.kind].replace("a whole", "an odd whole") if self.odd else _A[self.kind]
        if self.minimum > -math.inf and self.maximum < math.inf:
            return f"{kind} from {self.minimum:g} to {self.maximum:g}"
        parts = [f"of at least {self.minimum:g}"] if self.minimum > -math.inf else []
        parts += [f"above {self.above:g}"] if self.above > -math.inf else []
        parts += [f"at most {self.maximum:g}"] if self.maximum < math.inf else []
        return f"{kind} " + " and ".join(parts)


_A: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def leaf(default: Scalar, *, added: bool = False, **domain: Any) -> Any:
    """A leaf of a configuration: its default value, whose type it keeps, and its domain.

    `added`: earlier releases trained as its default does, without the leaf. Configurations with the default keep the
    digest that they had there.
    """
    return field(default=default, metadata={"domain": Domain(kind=type(default), **domain), "added": added})


def choice(default: str, *others: str, prefix: str = "", added: bool = False) -> Any:
    """A leaf with a few allowed words, the default first, or any string that starts with `prefix`."""
    return leaf(default, choices=(default, *others), prefix=prefix, added=added)


def weights() -> Any:
    """A leaf that names the source of pretrained weights; see `enhance.nets.pretrained`."""
    return choice("random", "imagenet", prefix="file:")


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The message for a name that does not exist, with the nearest names that do."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    siblings = [other for other in known if other.split(".")[0] == name.split(".")[0]]
    return (
        f"unknown name {name!r}; did you mean {join_names(near)}?"
        if near
        else (f"unknown name {name!r}; choose from {join_names(siblings or known)}")
    )


def join_names(names: Iterable[object]) -> str:
    """The names in one line, separated by commas."""
    return ", ".join(str(name) for name in names)
