"""The ledger of a run as pandas tables, complete and checked, with a note for everything that was left out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.files import QUARANTINE, LedgerError, read_table, table_files
from analysis.location import Location, StorePath, files, locate

__all__ = [
    "CONDITIONS",
    "ENDINGS",
    "LATENCY_RATIO",
    "LOST",
    "Ledger",
    "LedgerError",
    "Objective",
    "contract",
    "load",
    "not_ended",
]

LOST = ("diverged", "failed", "refused")
ENDINGS = ("completed", "stopped", *LOST)
DIRECTIONS = ("maximize", "minimize")

CONDITIONS = tuple(
    f"cost.{name}"
    for name in ("device", "device_name", "width_px", "height_px", "threads", "dtype", "memory_format", "compiled")
)
"""Under what a network was timed: latencies are comparable only where all of these are equal."""

LATENCY_RATIO = ("cost.latency_ratio", "cost.latency_ratio_low", "cost.latency_ratio_high")
"""The latency in units of the baseline's, which was timed in turns with it, and the ends of its interval."""

KEYS: dict[str, list[str]] = {
    "runs": ["run"],
    "trials": ["trial"],
    "reports": ["trial", "step"],
    "starts": ["trial"],
    "costs": ["network", *CONDITIONS, "cost.failure"],  # a failed measurement does not hide one that came later
}
_NEEDED: dict[str, list[str]] = {
    "runs": ["run", "question", "objectives", "started", "run.data_spec"],
    "trials": ["trial", "stage", "configuration", "seed", "images", "ending", "reason", "steps", "time.ended"],
    "reports": ["trial", "step"],
    "starts": ["trial"],
    "costs": ["network", *CONDITIONS, "cost.failure", *LATENCY_RATIO],
}
_FLOAT_PREFIXES = ("metric.", "spread.", "loss.", "signal.", "baseline.", "cost.latency", "cost.baseline_ms")


@dataclass(frozen=True)
class Objective:
    """What the sweep sought: a metric (the name behind `metric.`) and "maximize" or "minimize"."""

    metric: str
    direction: str

    @property
    def column(self) -> str:
        """The column of the ledger that holds it."""
        return f"metric.{self.metric}"

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @property
    def sign(self) -> int:
        """The factor that makes more better: 1 or -1."""
        return 1 if self.maximize else -1


@dataclass(frozen=True, eq=False)
class Ledger:
    """The tables of a run, each with unique keys; `notes` are sentences about what is not in them, and why.

    `runs` is sorted by start, so that its last row is the newest invocation; `objectives` are that invocation's.
    `spared` of a trial is the rung at which it would have been stopped, were it not for the audit; -1 where there is
    none, and in ledgers that were written before there was an audit. `costs` has a row per network and conditions of
    timing; it has none where nothing was timed.
    """

    path: Location
    trials: pd.DataFrame
    reports: pd.DataFrame
    runs: pd.DataFrame
    starts: pd.DataFrame
    costs: pd.DataFrame
    objectives: tuple[Objective, ...]
    notes: tuple[str, ...]


def load(run: Location | str) -> Ledger:
    """The ledger in `run`: a folder, or s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.

    Damaged files are moved to RUN/_quarantine/ (or skipped, where that cannot be) and noted; rows whose key was
    already seen are dropped and noted. Raises LedgerError where `run` is no folder, holds no ledger, has a schema
    version that is not known, or has no trial that ended; LocationError where it is no address, StoreError where the
    store refuses or does not answer.
    """
    run = locate(run)
    _check_place(run)
    notes = _earlier_quarantine(run)
    tables = {name: _table(run, name, notes) for name in KEYS}
    trials, runs = tables["trials"], tables["runs"].sort_values(["started", "run"], ignore_index=True)
    if trials.empty:
        started = len(tables["starts"])
        raise LedgerError(f"no trial of {run} has ended yet ({started} started), so there is nothing to analyse", notes)
    if runs.empty:
        raise LedgerError(f"{run} says nothing of its objectives: no readable file in {run / 'runs'}", notes)
    objectives = _objectives(runs, notes)
    _check_endings(trials, notes)
    _check_metrics(trials, tables["reports"], objectives, notes)
    _complete_spared(trials)
    return Ledger(run, trials, tables["reports"], runs, tables["starts"], tables["costs"], objectives, tuple(notes))


def not_ended(ledger: Ledger) -> int:
    """How many trials were started and have no ending in the ledger: running now, or lost with their process."""
    return int((~ledger.starts["trial"].isin(ledger.trials["trial"])).sum())


def contract(ledger: Ledger, name: str) -> Any:
    """A fact that all invocations of the run share, by its name in the contract: "rungs", "audit_share".

    Raises LedgerError where the run does not say it.
    """
    text = ledger.runs["contract"].iloc[-1] if "contract" in ledger.runs.columns else None
    facts = {} if pd.isna(text) else json.loads(text)
    if name not in facts:
        raise LedgerError(f"{ledger.path / 'runs'} does not say {name} in the column contract")
    return facts[name]


# --- the place ---------------------------------------------------------------------------------------------------


def _check_place(run: Location) -> None:
    if isinstance(run, StorePath):
        run.check()
    elif not run.is_dir():
        raise LedgerError(f"{run} is not a folder{_choices(run.parent)}")
    if not _is_ledger(run):
        looked_for = ", ".join(f"{name}/*.parquet" for name in KEYS)
        raise LedgerError(f"there is no ledger in {run}: none of {looked_for}{_choices(run)}")


def _is_ledger(folder: Location) -> bool:
    return any(table_files(folder, name) for name in KEYS)


def _choices(folder: Location, most: int = 8) -> str:
    """The ledgers among the children of `folder`, as the end of a sentence; a store is not searched."""
    if isinstance(folder, StorePath) or not folder.is_dir():
        return ""
    found = sorted(str(child) for child in folder.iterdir() if child.is_dir() and _is_ledger(child))
    if not found:
        return f"; no folder in {folder} holds one either"
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"; ledgers near it: {', '.join(found[:most])}{more}"


def _earlier_quarantine(run: Location) -> list[str]:
    folder = run / QUARANTINE
    count = len(files(folder))
    if not count:
        return []
    return [f"{folder} holds {_files(count)} put aside earlier; {'its' if count == 1 else 'their'} rows are missing"]


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


# --- the tables --------------------------------------------------------------------------------------------------


def _table(run: Location, name: str, notes: list[str]) -> pd.DataFrame:
    try:
        table, put_aside = read_table(run, name, KEYS[name])
    except LedgerError as error:
        raise LedgerError(str(error), [*notes, *error.notes]) from error
    notes.extend(put_aside)
    if table is None:
        return pd.DataFrame({column: pd.Series(dtype="object") for column in _NEEDED[name]})
    missing = [column for column in _NEEDED[name] if column not in table.column_names]
    if missing:
        raise LedgerError(f"{run / name} has no column {', '.join(missing)}", notes)
    frame = table.to_pandas()
    floats = [column for column in frame.columns if column.startswith(_FLOAT_PREFIXES)]
    frame = frame.astype(dict.fromkeys(floats, "float64"))
    repeated = frame.duplicated(KEYS[name])
    if repeated.any():
        notes.append(f"{name}: {int(repeated.sum())} of {len(frame)} rows repeat a key and were dropped")
    unique: pd.DataFrame = frame[~repeated].reset_index(drop=True)
    return unique


def _check_endings(trials: pd.DataFrame, notes: list[str]) -> None:
    unknown = sorted(set(trials["ending"].astype(str)) - set(ENDINGS))
    if unknown:
        raise LedgerError(f"ending {', '.join(unknown)} is not known; the endings are {', '.join(ENDINGS)}", notes)


def _check_metrics(
    trials: pd.DataFrame, reports: pd.DataFrame, objectives: Iterable[Objective], notes: list[str]
) -> None:
    """Every objective gets its columns; only a run in which nothing was ever measured may lack them."""
    there = [column for column in trials.columns if column.startswith("metric.")]
    for objective in objectives:
        if there and objective.column not in trials.columns:
            raise LedgerError(f"the trials have no {objective.column}; they have {', '.join(there)}", notes)
        for frame in (trials, reports):
            for column in (objective.column, f"spread.{objective.metric}"):
                if column not in frame.columns:
                    frame[column] = pd.Series(float("nan"), index=frame.index, dtype="float64")


def _complete_spared(trials: pd.DataFrame) -> None:
    there = trials["spared"] if "spared" in trials.columns else pd.Series(-1, index=trials.index)
    trials["spared"] = there.fillna(-1).astype("int64")


# --- the objectives ----------------------------------------------------------------------------------------------


def _objectives(runs: pd.DataFrame, notes: list[str]) -> tuple[Objective, ...]:
    texts = list(runs["objectives"])
    objectives = _parsed(texts[-1], notes)
    if any(_parsed(text, notes) != objectives for text in set(texts[:-1])):
        notes.append("the invocations of this run had different objectives; the newest one's are used")
    return objectives


def _parsed(text: str, notes: list[str]) -> tuple[Objective, ...]:
    problem = f"the objectives of the run are {text!r}, not a JSON list of {{metric, direction}}"
    try:
        entries: Any = json.loads(text)
        objectives = tuple(Objective(str(entry["metric"]), str(entry["direction"])) for entry in entries)
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(problem, notes) from error
    unknown = [objective.direction for objective in objectives if objective.direction not in DIRECTIONS]
    if unknown:
        raise LedgerError(f"direction {unknown[0]!r} is not known; choose from {', '.join(DIRECTIONS)}", notes)
    if not objectives or len({objective.metric for objective in objectives}) < len(objectives):
        raise LedgerError(f"{problem} with different metrics", notes)
    return objectives
