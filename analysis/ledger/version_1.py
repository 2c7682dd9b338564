"""Upgrade ledgers of schema version 1 to version 2 while reading them.

Version 1 differs in two ways:

- the scores of the unprocessed phone pictures were in columns `baseline.*`, now `untouched.*`;
- in the contract of a run, the entries of the space and the design were the `repr` of the engine's objects
  ("Log(low=0.1, high=10.0)"), now JSON objects ({"kind": "log", "low": 0.1, "high": 10.0}).
"""

import ast
import json
from typing import Any

import pyarrow as pa

_BEFORE, _NOW = "baseline.", "untouched."

_KINDS = {
    "Uniform": "uniform",
    "Log": "log",
    "Integer": "integer",
    "Choice": "choice",
    "When": "when",
    "Ablation": "ablation",
    "OneAtATime": "one_at_a_time",
    "Factorial": "factorial",
    "Grid": "grid",
    "Fraction": "fraction",
}


def column_before(name: str) -> str:
    """The version-1 name of a version-2 column."""
    return _BEFORE + name.removeprefix(_NOW) if name.startswith(_NOW) else name


def upgrade_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a version-1 file, with version-2 names."""
    return pa.schema([field.with_name(_column_now(field.name)) for field in schema], metadata=schema.metadata)


def upgrade_table(table: pa.Table) -> pa.Table:
    """The rows of a version-1 file, as version 2 has them."""
    table = table.rename_columns([_column_now(name) for name in table.column_names])
    if "contract" in table.column_names:
        # Only `runs` has this column, with a row per invocation, so Python is fast enough.
        texts = [upgrade_contract(text) for text in table["contract"].to_pylist()]
        table = table.set_column(table.column_names.index("contract"), "contract", pa.array(texts, pa.string()))
    return table


def upgrade_contract(text: str | None) -> str | None:
    """Convert a version-1 contract to version 2, both as JSON text.

    Parts that cannot be parsed stay as they are; an analysis that needs one reports the error.
    """
    try:
        facts = json.loads(text or "")
    except ValueError:
        return text
    if not isinstance(facts, dict):
        return text
    if isinstance(facts.get("space"), dict):
        facts["space"] = {name: _upgrade_repr(entry) for name, entry in facts["space"].items()}
    if "design" in facts:
        facts["design"] = _upgrade_repr(facts["design"])
    return json.dumps(facts, sort_keys=True)


def _column_now(name: str) -> str:
    return _NOW + name.removeprefix(_BEFORE) if name.startswith(_BEFORE) else name


def _upgrade_repr(text: Any) -> Any:
    try:
        return _value(ast.parse(text, mode="eval").body)
    # `ast.parse` raises the last two for deeply nested text.
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        return text


def _value(node: ast.AST) -> Any:
    """The value of an expression. Raises ValueError or KeyError for anything but literals and known classes."""
    # Parsed, never evaluated: a ledger may come from anybody.
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    if not isinstance(node.func, ast.Name) or node.args:
        raise ValueError(f"{ast.unparse(node)} is neither a range nor a design")
    return {"kind": _KINDS[node.func.id], **{word.arg: _value(word.value) for word in node.keywords if word.arg}}
