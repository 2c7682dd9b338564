"""Encode the space and design of a run as plain JSON objects that carry their `kind`.

    Log(0.1, 10.0)                                {"kind": "log", "low": 0.1, "high": 10.0}
    When("optimizer.name", "sgd", Choice(0, 1))   {"kind": "when", "name": "optimizer.name", "value": "sgd",
                                                   "range": {"kind": "choice", "values": [0, 1]}}
                                                  (a list if there are several values)
    Grid(levels=3)                                {"kind": "grid", "levels": 3}

The kinds are those of `analysis.ledger.schema`, because analysis reads the same objects without the engine.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

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
    """The JSON object of a range, conditional or not."""
    if isinstance(entry, When):
        return {"kind": "when", "name": entry.name, "value": _plain(entry.value), "range": encode_entry(entry.range)}
    return {"kind": _kind(RANGES, entry), **_fields(entry)}


def encode_design(design: Design | None) -> Recorded | None:
    """The JSON object of a design; None for a search, which has no design."""
    return None if design is None else {"kind": _kind(DESIGNS, design), **_fields(design)}


def _kind(kinds: Mapping[str, type], own: object) -> str:
    # Not isinstance: a Log range is also a Uniform one.
    return next(kind for kind, known in kinds.items() if type(own) is known)


def _fields(own: Any) -> Recorded:
    return {field.name: _plain(getattr(own, field.name)) for field in fields(own)}


def _plain(value: Any) -> Any:
    """`value` as it comes back from JSON (lists for tuples), so that recorded and new values compare equal."""
    if isinstance(value, Mapping):
        return {name: _plain(own) for name, own in value.items()}
    return [_plain(own) for own in value] if isinstance(value, list | tuple) else value
