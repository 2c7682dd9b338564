"""Differences in setup between two runs: space, fixed settings, budget, search, code, environment and data."""

import json
from typing import Any

import pandas as pd

from analysis.ledger.design import canonical_text
from analysis.ledger.load import Ledger, contract_facts
from analysis.ledger.schema import ADDED_LEAVES
from analysis.ledger.units import recorded_text

PARTS = (
    "objectives",
    "space",
    "fixed",
    "default",
    "budget",
    "search",
    "timing",
    "data",
    "code",
    "environment",
    "other",
)
"""The parts of a setup, in display order. `default`: settings that neither run fixed or searched, with defaults that
changed in the code. `other`: facts that this version does not know."""

_PLACES = {
    **dict.fromkeys(("sweep", "objectives"), "objectives"),
    **dict.fromkeys(("rungs", "reduction", "seeds", "audit_share"), "budget"),
    **dict.fromkeys(
        ("sampler", "sampler_options", "design", "stopping", "constraints", "reproducible"),
        "search",
    ),
    **dict.fromkeys(("run.data", "run.data_spec"), "data"),
    **dict.fromkeys(("run.code", "run.teststrip"), "code"),
}
_NESTED = {"space": "space", "fixed": "fixed", "cost": "timing"}
_ALREADY = ("data", "code")  # in the contract too, but the trials record it individually
_SEARCH_OPTIONS = ("warm_start", "costs_from")

Facts = dict[tuple[str, str], str]


def setup(ledger: Ledger) -> Facts:
    """The setup of a run: (part, name) to text, with part one of PARTS. Where trials differ, all of their values."""
    facts: Facts = {}
    for name, value in contract_facts(ledger).items():
        if name in _NESTED and isinstance(value, dict):
            facts |= {(_NESTED[name], leaf): _text(own) for leaf, own in value.items()}
        elif name not in _ALREADY:
            facts[_PLACES.get(name, "other"), name] = _text(value)
    if "trials" in ledger.runs.columns and pd.notna(ledger.runs["trials"].iloc[-1]):
        facts["budget", "trials"] = _text(ledger.runs["trials"].iloc[-1])
    facts |= _seeds(ledger) | _options(ledger)
    for column, values in ledger.read("trials", ["run.*"]).items():
        # The invocation: a key, which always differs.
        if column != "run.run":
            different = sorted(set(map(_text, values.dropna().unique())))
            facts[_PLACES.get(str(column), "environment"), str(column).removeprefix("run.")] = ", ".join(different)
    return facts


def setup_differences(a: Ledger, b: Ledger) -> pd.DataFrame:
    """The facts that differ, a row each in the order of PARTS: `part`, `name`, `a`, `b` (texts; "" where a run does
    not record it)."""
    one, other = setup(a), setup(b)
    # What neither run fixed or searched can still differ, if a default changed in the code between them.
    leaves = _leaves(a, b, {name for part, name in (*one, *other) if part in ("fixed", "space")})
    one, other = (_with_defaults(own | more, names, ledger) for own, more, names, ledger in
                  ((one, leaves[0], other, a), (other, leaves[1], one, b)))  # fmt: skip
    # A dict keeps the order in which the facts were read, and so does `sorted` within a part.
    keys = sorted({**one, **other}, key=lambda key: PARTS.index(key[0]))
    rows = [(*key, one.get(key, ""), other.get(key, "")) for key in keys if one.get(key, "") != other.get(key, "")]
    return pd.DataFrame(rows, columns=["part", "name", "a", "b"], dtype="str")


# --- the steps ---------------------------------------------------------------------------------------------------


def _seeds(ledger: Ledger) -> Facts:
    """The seeds, by stage."""
    trials = ledger.read("trials", ["stage", "seed"]).drop_duplicates()
    stages = {str(stage): sorted(map(int, own["seed"])) for stage, own in trials.groupby("stage")}
    return {("budget", f"seeds of {stage}"): ", ".join(map(str, seeds)) for stage, seeds in stages.items()}


def _options(ledger: Ledger) -> Facts:
    """Options of the newest invocation that refer to other runs; the contract does not include them."""
    newest = ledger.runs.iloc[-1]
    text = newest.get("options")
    options = json.loads(text) if isinstance(text, str) else _from_command_line(newest.get("argv"))
    return {
        ("search", option.replace("_", "-")): ", ".join(options[option])
        for option in _SEARCH_OPTIONS
        if option in options
    }


def _from_command_line(argv: Any) -> dict[str, list[str]]:
    """The same for a ledger of schema version 1, which records the command line instead of options."""
    words = json.loads(argv) if isinstance(argv, str) else []
    found: dict[str, list[str]] = {}
    for option in _SEARCH_OPTIONS:
        flag = f"--{option.replace('_', '-')}"
        given = [words[place + 1] for place, word in enumerate(words[:-1]) if word == flag]
        # argparse accepts both `--warm-start RUN` and `--warm-start=RUN`.
        given += [word.split("=", 1)[1] for word in words if word.startswith(f"{flag}=")]
        if given:
            found[option] = given
    return found


def _leaves(a: Ledger, b: Ledger, said: set[str]) -> tuple[Facts, Facts]:
    """Settings that neither run records as fixed or searched but that have one value in A and another in B."""
    changed = [name for name in constant_apart(a.settings, b.settings) if name not in said]
    sides = []
    for ledger in (a, b):
        own = ledger.settings
        facts: Facts = {}
        for name in changed:
            known = own[f"config.{name}"].dropna() if f"config.{name}" in own.columns else pd.Series(dtype="object")
            facts["default", name] = _text(known.iloc[0]) if len(known) else ""
        sides.append(facts)
    return sides[0], sides[1]


def _with_defaults(facts: Facts, others: Facts, ledger: Ledger) -> Facts:
    """`facts` plus the settings that only the other run fixed, where the trials of this one have a single value."""
    found = dict(facts)
    settings = ledger.settings
    for part, name in others:
        column = f"config.{name}"
        # What one run searched and the other fixed is a real difference, and stays one.
        if part == "fixed" and ("space", name) not in facts and (part, name) not in facts and column in settings:
            values = settings[column].dropna().unique()
            if len(values) == 1:
                found[part, name] = _text(values[0])
    return found


def constant_apart(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The settings (without "config.") that are constant in each of two frames with `config.*` but differ between them.

    Nulls stand for settings that a configuration does not have, and are ignored. The seed is not a setting. A setting
    that an older ledger lacks has the value that it was trained with.
    """
    columns = dict.fromkeys(name for name in (*one.columns, *other.columns) if name.startswith("config."))
    found = []
    for column in columns:
        values = [set(map(canonical_text, side[column].dropna().unique())) if column in side.columns else set()
                  for side in (one, other)]  # fmt: skip
        if column in ADDED_LEAVES:
            values = [own or {canonical_text(ADDED_LEAVES[column])} for own in values]
        if column != "config.seed" and values[0] != values[1] and max(map(len, values)) <= 1:
            found.append(column.removeprefix("config."))
    return found


def _text(value: Any) -> str:
    """A fact as text. 3 and 3.0 give the same, since pandas turns integer columns with gaps into floats."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict) and "kind" in value:
        return recorded_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_text(own)}" for name, own in value.items()) or "none"
    return str(value)
