"""The options of an invocation as the ledger records them, and what a resumed run takes over.

Each row of `runs` holds one JSON object in the column `options`: every option that was in effect and not left at its
default, by its name in `Arguments`, such as

    {"confirm": 0, "out": "/data/runs/a", "set": ["net.channels=4"], "trials": 40}

Paths are absolute, so that a run can be resumed from any folder. The latest invocation counts: `--resume` takes over
its options, except those in OF_ONE_INVOCATION, and the options given with `--resume` override them. Ledgers of schema
version 1 hold the command line itself (column `argv`), which goes through the same parser.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.ledger.files import read_table
from analysis.ledger.location import Location
from enhance.config.files import FILE
from enhance.data import KINDS
from sweeps.engine.cli.arguments import Arguments, UsageError, read_arguments
from sweeps.engine.sweep import Sweep

OF_ONE_INVOCATION = (
    *("out", "resume", "accept_change", "retry", "expect_code", "dry_run", "estimate", "price_per_hour"),
    # The next invocation may run on other machines.
    *("workers", "address", "insecure", "unshared"),
    # A limit that ended the run would end it again at once.
    *("max_minutes", "max_device_hours"),
    # Recorded as the trials and steps that it chose.
    "fit",
)
"""Options that a resumed run does not take over."""

RUNS = ("out", "resume", "warm_start", "costs_from")
"""Options whose values are runs."""

BY_NAME = ("set", "sampler_option")
"""Options of the form NAME=VALUE: what is given anew replaces the value of that name only."""

ADDED = ("warm_start", "costs_from", "photo")
"""Options whose values add to those taken over."""


def options_in_effect(sweep: Sweep, run: Location | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options given, whose paths are absolute, on top of those that resuming `run` takes over (None: nothing).

    Raises UsageError if the ledger holds an option that this version does not know.
    """
    if run is None:
        return dict(given)
    recorded = {name: value for name, value in _latest(sweep, run).items() if name not in OF_ONE_INVOCATION}
    unknown = [name for name in recorded if name not in Arguments.__dataclass_fields__]
    if unknown:
        raise UsageError(f"--resume {run}: it was started with options that do not exist here: {', '.join(unknown)}")
    return recorded | {name: _override(name, recorded.get(name, []), value) for name, value in given.items()}


def recorded_sweep(run: Location) -> str:
    """The name of the sweep that wrote the run; "" if that is not readable."""
    return str(_latest_row(run).get("sweep") or "")


def _latest_row(run: Location) -> dict[str, Any]:
    """The row of the run's latest invocation, empty if it has no readable one."""
    # Files are named by invocation and read in the order of their names, so the last row is the latest.
    table, _ = read_table(run, "runs", ["run"])
    return dict(table.slice(table.num_rows - 1).to_pylist()[0]) if table else {}


def _latest(sweep: Sweep, run: Location) -> dict[str, Any]:
    """The options of the run's latest invocation, none if it has no readable row."""
    row = _latest_row(run)
    if row.get("options") is not None:
        return dict(json.loads(row["options"]))
    # A ledger of schema version 1.
    return make_absolute(read_arguments(sweep, json.loads(row.get("argv") or "[]")))


def _override(name: str, before: Sequence[str], value: Any) -> Any:
    """An option's value where both the ledger and the command line have one.

    --set and --sampler-option override name by name; options that name runs or photographs add to those before.
    """
    if name in BY_NAME:
        return list({text.partition("=")[0]: text for text in (*before, *value)}.values())
    return list(dict.fromkeys((*before, *value))) if name in ADDED else value


# --- paths ---------------------------------------------------------------------------------------------------------


def make_absolute(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with every relative path in them made absolute, whatever kind of option it is in."""
    found = dict(options)
    for name in RUNS:
        if name in found:
            found[name] = _each(found[name], lambda text: text if "://" in text else _absolute(text))
    if "photo" in found:
        found["photo"] = _each(found["photo"], _absolute)
    if "data" in found:
        found["data"] = _absolute_data(found["data"])
    if "set" in found:
        found["set"] = [_absolute_weights(text) for text in found["set"]]
    return found


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return change(value) if isinstance(value, str) else [change(text) for text in value]


def _absolute(path: str) -> str:
    # Not `Path.absolute`, which drops a trailing slash: the text is part of how a data set is named.
    return path if path.startswith(("/", "~")) else f"{Path.cwd()}/{path}"


def _absolute_data(spec: str) -> str:
    """A spec is KIND:FOLDER[@PX], or KIND:FOLDER:FOLDER[@PX]; some kinds know bundled photographs by the name demo."""
    name, _, where = spec.partition(":")
    if not where or name not in KINDS:
        return spec
    form = KINDS[name].form
    if "demo" in form and re.fullmatch(r"demo(@\d+)?", where):
        return spec
    # No more parts than the kind has: the last may contain a colon.
    folders = where.split(":", form.count(":") - 1)
    return f"{name}:{':'.join(_absolute(folder) if folder else '' for folder in folders)}"


def _absolute_weights(setting: str) -> str:
    """NAME=file:PATH names a file of weights; every other value is taken as it is."""
    name, equals, value = setting.partition("=")
    return f"{name}{equals}{FILE}{_absolute(value.removeprefix(FILE))}" if value.startswith(FILE) else setting
