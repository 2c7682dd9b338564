"""Recorded training curves for replays: the reports of every trial of an earlier run or grid, step by step.

The source is a run's ledger, or one Parquet file with a row per trial and step (`trial`, `seed`, `step`, `parameters`,
`config.*`, `metric.*`, `train_s`, `eval_s`), as tests/golden/grid.parquet.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.ledger.files import LedgerError, read_table
from analysis.ledger.location import Location
from enhance.config import VARIANTS, Scalar, flatten, from_flat
from enhance.report import Report
from sweeps.engine.ledger.writer import Row
from sweeps.engine.space import Choice, When
from sweeps.engine.sweep import METRICS, Budget

OBJECTIVES = ("psnr_db", "parameters")
"""The objectives if the source does not record its own."""

COLUMNS = ("trial", "seed", "step", "parameters", "config.train.steps", "train_s", "eval_s")
"""The columns that a file must have besides metrics and the other leaves."""

Key = tuple[Scalar | None, ...]
"""The values of the leaves that vary, None for a leaf that a configuration lacks."""


class RecordingError(ValueError):
    """The curves do not allow the requested replay."""


@dataclass(frozen=True)
class Curve:
    """One recorded trial: its parameter count (None if unknown) and its reports by step, ascending."""

    parameters: int | None
    reports: Mapping[int, Report]

    def stretch(self, before: int, step: int) -> Report:
        """The report at `step` of a trial that last reported at `before` (0: never).

        Its times add up the training of all recorded intervals in between, and count one evaluation.
        """
        # A replay with fewer rungs than the recording evaluates at its own rungs only.
        train_s = sum(report.train_s for at, report in self.reports.items() if before < at <= step)
        return dataclasses.replace(self.reports[step], train_s=train_s)


@dataclass(frozen=True)
class Recording:
    """Curves by the values of the leaves that vary, each with a report at every requested rung.

    `steps` is the full budget of a trial; `unused` counts the trials left out, by reason.
    """

    curves: Mapping[Key, Curve]
    space: Mapping[str, Choice | When]
    fixed: Mapping[str, Scalar]
    objectives: tuple[str, ...]
    steps: int
    unused: Mapping[str, int]

    def key(self, config: Mapping[str, Scalar]) -> Key:
        """The key in `curves` of a flat configuration or a point of the space, recorded or not."""
        return tuple(config.get(name) for name in self.space)

    def find(self, config: Mapping[str, Scalar]) -> Curve | None:
        """The curve of a flat configuration, None if it was not recorded."""
        return self.curves.get(self.key(config))

    def final(self, keys: Iterable[Key]) -> NDArray[np.float64]:
        """The objective values at the full budget, of shape (n, objectives)."""
        reports = [self.curves[key].reports[self.steps] for key in keys]
        rows = [[report.metrics[name] for name in self.objectives] for report in reports]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.objectives))

    def budget(self, rungs: int, reduction: int) -> Budget:
        """A budget of one trial per curve. Raises RecordingError if the rungs do not fit into the steps."""
        return _budget(len(self.curves), self.steps, rungs, reduction)


@dataclass(frozen=True)
class _Trial:
    """One trial of the source: its flat configuration, None for leaves that it lacks, and its report rows."""

    seed: int
    parameters: int | None
    config: dict[str, Scalar | None]
    rows: list[Row] = field(default_factory=list)


def load(source: Location, spacings: Iterable[tuple[int, int]], objectives: Sequence[str] = ()) -> Recording:
    """Load the curves of `source` that can be replayed with every (rungs, reduction) in `spacings`.

    `objectives` replace the source's own. Raises RecordingError, and LedgerError if the source cannot be read.
    """
    if is_file(source):
        trials, own = _from_file(source)
    else:
        trials, own = _from_ledger(source)
    rows = [row for trial in trials for row in trial.rows]
    if not rows:
        raise RecordingError(f"{source} holds no reports")
    chosen = tuple(objectives) or own or OBJECTIVES
    _check_objectives(source, chosen, rows)
    # A file may hold trials of several budgets. The largest is the full one; others lack its last rung.
    steps = int(max(trial.config["train.steps"] or 0 for trial in trials))
    needed = {step for spacing in spacings for step in _budget(1, steps, *spacing).rung_steps()}
    _check_steps(source, needed, {row["step"] for row in rows})
    usable, unused = _usable(trials, needed)
    if not usable:
        why = ", ".join(f"{count} {reason}" for reason, count in unused.items())
        raise RecordingError(f"none of the {len(trials)} trials of {source} can be replayed: {why}")
    space, fixed = _space([trial.config for trial in usable])
    curves = {tuple(trial.config[name] for name in space): _curve(trial) for trial in usable}
    return Recording(curves, space, fixed, chosen, steps, unused)


def is_file(source: Location) -> bool:
    """Whether the source is one Parquet file rather than a run."""
    return isinstance(source, Path) and source.is_file()


def own_spacing(source: Location) -> tuple[int, int] | None:
    """The number of rungs and the reduction of a run; None if the source does not record them."""
    runs = [] if is_file(source) else _table(source, "runs", "run")
    text = max(runs, key=lambda row: row["started"]).get("contract") if runs else None
    facts = json.loads(text) if text else {}
    return (len(facts["rungs"]), facts["reduction"]) if {"rungs", "reduction"} <= facts.keys() else None


# --- reading -----------------------------------------------------------------------------------------------------


def _from_file(path: Location) -> tuple[list[_Trial], tuple[str, ...]]:
    """The trials of a file, and no objectives, which a file does not record."""
    try:
        rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
    except (OSError, ValueError) as error:
        # pyarrow's own errors are ValueErrors.
        raise LedgerError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    missing = [name for name in COLUMNS if rows and name not in rows[0]]
    if missing:
        raise RecordingError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    trials: dict[str, _Trial] = {}
    for row in rows:
        if row["trial"] not in trials:
            trials[row["trial"]] = _Trial(row["seed"], row["parameters"], _config(row))
        trials[row["trial"]].rows.append(row)
    return list(trials.values()), ()


def _from_ledger(run: Location) -> tuple[list[_Trial], tuple[str, ...]]:
    """The ended trials of a run, and its objectives."""
    runs, ended = _table(run, "runs", "run"), _table(run, "trials", "trial")
    if not runs or not ended:
        raise LedgerError(f"{run} is neither a ledger with ended trials nor a Parquet file")
    newest = max(runs, key=lambda row: row["started"])
    trials = {row["trial"]: _Trial(row["seed"], row["cost.parameters"], _config(row)) for row in ended}
    for row in _table(run, "reports", "trial", "step"):
        # A trial that has not ended has reports too.
        if row["trial"] in trials:
            trials[row["trial"]].rows.append(row)
    return list(trials.values()), tuple(entry["metric"] for entry in json.loads(newest["objectives"]))


def _table(run: Location, name: str, *key: str) -> list[dict[str, Any]]:
    table, _ = read_table(run, name, key)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table.to_pylist() if table is not None else []:
        rows.setdefault(tuple(row[column] for column in key), row)
    return list(rows.values())


def _config(row: Row) -> dict[str, Scalar | None]:
    return {name.removeprefix("config."): value for name, value in row.items() if name.startswith("config.")}


def _curve(trial: _Trial) -> Curve:
    rows = sorted(trial.rows, key=lambda row: int(row["step"]))
    return Curve(trial.parameters, {row["step"]: _report(row, trial.parameters) for row in rows})


def _report(row: Row, parameters: int | None) -> Report:
    """A worker's report from its row, without losses and gradients (empty or NaN), which no rule uses."""
    metrics = {
        name.removeprefix("metric."): v for name, v in row.items() if name.startswith("metric.") and v is not None
    }
    return Report(
        step=row["step"],
        metrics=metrics if parameters is None else metrics | {"parameters": float(parameters)},
        spread={},
        untouched={},
        images=row.get("images", 0),
        losses={},
        signals={},
        loss_total=float("nan"),
        grad_norm=float("nan"),
        learning_rate=float("nan"),
        train_s=row["train_s"],
        eval_s=row["eval_s"],
    )


# --- what can be used --------------------------------------------------------------------------------------------


def _check_objectives(source: Location, objectives: Sequence[str], rows: Sequence[Row]) -> None:
    measured = {name.removeprefix("metric.") for row in rows for name in row if name.startswith("metric.")}
    known = [name for name in METRICS if name in measured | {"parameters"}]
    unknown = [name for name in objectives if name not in known]
    if unknown:
        raise RecordingError(f"{source} has no objective {', '.join(unknown)}; choose from {', '.join(known)}")


def _check_steps(source: Location, needed: Iterable[int], recorded: Iterable[int]) -> None:
    missing = sorted(set(needed) - set(recorded))
    if missing:
        raise RecordingError(
            f"no trial of {source} reported at step {', '.join(map(str, missing))}, where a rung is requested; "
            f"the reports are at {', '.join(map(str, sorted(recorded)))}: choose other rungs or another reduction"
        )


def _usable(trials: Iterable[_Trial], needed: Iterable[int]) -> tuple[list[_Trial], dict[str, int]]:
    """The complete trial with the lowest seed of each configuration, and counts of the others by reason."""
    usable: dict[tuple[Any, ...], _Trial] = {}
    unused: Counter[str] = Counter()
    # Confirmations have the highest seeds, so the trials of the search come first.
    for trial in sorted(trials, key=lambda trial: trial.seed):
        lacking = sorted(set(needed) - {row["step"] for row in trial.rows})
        identity = tuple(trial.config.items())
        if lacking:
            unused[f"without a report at step {lacking[0]}"] += 1
        elif identity in usable:
            unused["of another seed"] += 1
        else:
            usable[identity] = trial
    return list(usable.values()), dict(unused)


def _budget(trials: int, steps: int, rungs: int, reduction: int) -> Budget:
    budget = Budget(trials=trials, steps=steps, rungs=rungs, reduction=reduction)
    if budget.problems():
        raise RecordingError("; ".join(budget.problems()))
    return budget


# --- the space that was recorded ---------------------------------------------------------------------------------


def _space(configs: Sequence[dict[str, Scalar | None]]) -> tuple[dict[str, Choice | When], dict[str, Scalar]]:
    """A Choice for every leaf that varies, and the value of every leaf that does not."""
    leaves = {name: [config[name] for config in configs] for name in configs[0] if name != "train.steps"}
    space: dict[str, Choice | When] = {}
    fixed: dict[str, Scalar] = {}
    # Variants first, since a condition must refer to an earlier entry of the space.
    for name in sorted(leaves, key=lambda name: name not in VARIANTS):
        held = {value for value in leaves[name] if value is not None}
        if held and len(set(leaves[name])) == 1:
            fixed[name] = held.pop()
        elif held and (entry := _entry(name, Choice(*sorted(held)), leaves)):
            space[name] = entry
    if not space:
        raise RecordingError("all trials that can be replayed have the same configuration: there is nothing to search")
    return space, fixed


def _entry(name: str, choice: Choice, leaves: Mapping[str, Sequence[Scalar | None]]) -> Choice | When | None:
    """How the leaf was searched: by `choice`, or, if some trials lack it, by a choice under the variant that has it.

    Several variants may have it: both Adam and AdamW have `beta1`. It was searched under the one whose values differ
    from that variant's default; None if there is none, since then it was not searched at all.
    """
    if None not in leaves[name]:
        return choice
    for variant in VARIANTS:
        # The values that the leaf has under each value of this variant, None where it does not exist.
        held: dict[Scalar, set[Scalar | None]] = {}
        for own, value in zip(leaves.get(variant, ()), leaves[name], strict=False):
            if own is not None:
                held.setdefault(own, set()).add(value)
        # Whether a trial has the leaf does not depend on this variant.
        if not held or any(None in values and len(values) > 1 for values in held.values()):
            continue
        have = [own for own, values in held.items() if values != {None}]
        searched = have if len(have) == 1 else [own for own in have if held[own] != {_default(variant, own, name)}]
        if len(searched) < 2:
            return When(variant, searched[0], _choice(held[searched[0]])) if searched else None
    raise RecordingError(f"only some trials have {name}, and no single variant decides which: they cannot be replayed")


def _choice(values: Iterable[Scalar | None]) -> Choice:
    return Choice(*sorted(value for value in values if value is not None))


def _default(variant: str, value: Scalar, name: str) -> Scalar | None:
    """The default of the leaf `name` under a variant; None if the variant has no such leaf."""
    return flatten(from_flat({variant: value})).get(name)
