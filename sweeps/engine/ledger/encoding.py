"""What a run records about its space and its design: plain JSON objects that carry their `kind`, and back.

    Log(0.1, 10.0)                                {"kind": "log", "low": 0.1, "high": 10.0}
    When("optimizer.name", "sgd", Choice(0, 1))   {"kind": "when", "name": "optimizer.name", "value": "sgd",
                                                   "range": {"kind": "choice", "values": [0, 1]}}
    Grid(levels=3)                                {"kind": "grid", "levels": 3}

The kinds are those of `analysis.ledger.schema`, since analysis reads the same objects without the engine.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from sweeps.engine.designs import Ablation, Design, Factorial, Fraction, Grid, OneAtATime
from sweeps.engine.space import Choice, Integer, Log, Range, Uniform, When

Recorded = dict[str, Any]

RANGES: dict[str, type[Range]] = {"uniform": Uniform, "log": Log, "integer": Integer, "choice": Choice}
DESIGNS: dict[str, type[Design]] = {
    "ablation": Ablation,
    "one_at_a_time": OneAtATime,
    "factorial": Factorial,
    "grid": Grid,
    "fraction": Fraction,
}


def encode_entry(entry: Range | When) -> Recorded:
    """A range of a space, or one under a condition, as a JSON object."""
    if isinstance(entry, When):
        return {"kind": "when", "name": entry.name, "value": entry.value, "range": encode_entry(entry.range)}
    return {"kind": _kind(RANGES, entry), **_fields(entry)}


def decode_entry(recorded: Mapping[str, Any]) -> Range | When:
    """The range that `encode_entry` wrote. Raises KeyError or TypeError for an object that it cannot have written."""
    values = dict(recorded)
    kind = values.pop("kind")
    if kind == "when":
        return When(values["name"], values["value"], cast(Range, decode_entry(values["range"])))
    return Choice(*values["values"]) if kind == "choice" else RANGES[kind](**values)


def encode_design(design: Design | None) -> Recorded | None:
    """A design as a JSON object; None for a search, which follows none."""
    return None if design is None else {"kind": _kind(DESIGNS, design), **_fields(design)}


def decode_design(recorded: Mapping[str, Any] | None) -> Design | None:
    """The design that `encode_design` wrote. Raises KeyError or TypeError for an object that it cannot have written."""
    if recorded is None:
        return None
    values = dict(recorded)
    return DESIGNS[values.pop("kind")](**values)


def _kind(kinds: Mapping[str, type], own: object) -> str:
    return next(kind for kind, known in kinds.items() if type(own) is known)


def _fields(own: Any) -> Recorded:
    return {field.name: _plain(getattr(own, field.name)) for field in fields(own)}


def _plain(value: Any) -> Any:
    """A value as JSON gives it back, so that what was recorded compares equal to what is encoded now."""
    if isinstance(value, Mapping):
        return {name: _plain(own) for name, own in value.items()}
    return [_plain(own) for own in value] if isinstance(value, list | tuple) else value
