"""Domains: the values a leaf of a configuration may take, and the error that lists every value outside its domain."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Scalar = bool | int | float | str


class ConfigError(ValueError):
    """An invalid configuration; `problems` holds one sentence per problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{title} in the configuration:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """What one leaf may hold: a kind, and either its choices or its range.

    A text with a `prefix` may also be anything that begins with it (for example "file:").
    """

    kind: type[bool] | type[int] | type[float] | type[str]
    choices: tuple[Scalar, ...] = ()
    prefix: str = ""
    minimum: float = -math.inf
    above: float = -math.inf
    maximum: float = math.inf
    odd: bool = False

    def parse(self, text: str) -> Scalar:
        """What a text stands for; the text itself where it stands for nothing, which `problem` then refuses."""
        if self.kind is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        try:
            value: Scalar = self.kind(text)
        except ValueError:
            return text
        return value

    def problem(self, name: str, value: object) -> str | None:
        """The sentence that says why `value` is refused under `name`, or None where it is allowed."""
        if self.choices:
            if value in self.choices and type(value) is self.kind:
                return None
            if self.prefix and isinstance(value, str) and value.startswith(self.prefix) and value != self.prefix:
                return None
            more = f", {self.prefix}..." if self.prefix else ""
            return f"{name}={value!r} is not a choice; choose from {listed(self.choices)}{more}"
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            return f"{name}={value!r} must be {_A[self.kind]}, not {type(value).__name__}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name}={value!r} must be finite"
        if isinstance(value, bool | str):
            return None
        if isinstance(value, int | float) and self.allows(value):
            return None
        return f"{name}={value!r} is not allowed: {self.describe(name)}"

    def allows(self, value: float) -> bool:
        """Whether a number lies in the range (and is odd, where it must be)."""
        return self.minimum <= value <= self.maximum and value > self.above and (not self.odd or value % 2 == 1)

    def describe(self, name: str) -> str:
        """The domain in words, with `name` as its subject."""
        parts = [f">= {self.minimum:g}"] if self.minimum > -math.inf else []
        parts += [f"> {self.above:g}"] if self.above > -math.inf else []
        parts += [f"<= {self.maximum:g}"] if self.maximum < math.inf else []
        parts += ["odd"] if self.odd else []
        return f"{name} must be {_A[self.kind]} " + " and ".join(parts)


_A: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def leaf(default: Scalar, **domain: Any) -> Any:
    """A leaf of a configuration: its default and the domain of its values."""
    return field(default=default, metadata={"domain": Domain(kind=type(default), **domain)})


def choice(default: str, *others: str, prefix: str = "") -> Any:
    """A leaf that holds one of a few words, the default named first, or any text that begins with `prefix`."""
    return leaf(default, choices=(default, *others), prefix=prefix)


def weights() -> Any:
    """A leaf that says where the weights of a pretrained network come from; see `enhance.nets.pretrained`."""
    return choice("random", "imagenet", prefix="file:")


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest ones that do."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    siblings = [other for other in known if other.split(".")[0] == name.split(".")[0]]
    return (
        f"unknown name {name!r}; did you mean {listed(near)}?"
        if near
        else (f"unknown name {name!r}; choose from {listed(siblings or known)}")
    )


def listed(names: Iterable[object]) -> str:
    """The names in one line, separated by commas."""
    return ", ".join(str(name) for name in names)
