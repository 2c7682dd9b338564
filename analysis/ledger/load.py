"""Load the ledger of a run as checked pandas tables, with a note for everything that was left out."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.ledger.columns import Columns, matching
from analysis.ledger.files import QUARANTINE, LedgerError, table_files
from analysis.ledger.location import Location, StorePath, files, locate
from analysis.ledger.schema import DATASETS, DIRECTIONS, ENDINGS, TABLES
from analysis.ledger.units import counted

__all__ = [
    "Ledger",
    "LedgerError",
    "Objective",
    "contract",
    "contract_facts",
    "load",
    "not_ended",
    "objectives_named",
]


@dataclass(frozen=True)
class Objective:
    """What the sweep optimized: a metric (the name after `metric.`), and "maximize" or "minimize"."""

    metric: str
    direction: str

    @property
    def column(self) -> str:
        """The ledger column of the metric."""
        return f"metric.{self.metric}"

    @property
    def maximize(self) -> bool:
        """Whether higher is better."""
        return self.direction == "maximize"

    @property
    def sign(self) -> int:
        """The factor after which higher is better: 1 or -1."""
        return 1 if self.maximize else -1


class Notes:
    """Sentences about what was left out of a ledger. Those added after `load` are logged as well."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)
        self.loaded = False

    def add(self, text: str) -> None:
        """Keep a sentence, and log it if the ledger is already loaded."""
        self.texts.append(text)
        if self.loaded:
            logging.getLogger(__name__).warning(text)


# No ==, since that of two frames is a frame. `cached_property` works on a frozen class: it writes to __dict__ directly.
@dataclass(frozen=True, eq=False)
class Ledger:
    """The tables of a run, each with unique keys, read when they are first needed.

    `trials`, `reports` and `starts` are whole tables. For a run with millions of rows, read only the columns that an
    answer needs: `ledger.read("reports", ["step", "metric.*"])`.

    Rows are in the order in which they were written, whatever the clocks said: of several trials with one configuration
    and seed the last is the newest, and the last row of `runs` is the newest invocation's. `objectives` are those of
    that invocation.
    `spared` is the rung at which a trial would have been stopped but for the audit, -1 if there is none and in ledgers
    older than the audit. `costs` has a row per network and timing conditions, and is empty if nothing was timed.
    """

    path: Location
    runs: pd.DataFrame
    costs: pd.DataFrame
    objectives: tuple[Objective, ...]
    tables: dict[str, Columns] = field(repr=False)
    said: Notes = field(repr=False)

    @classmethod
    def of(cls, objectives: Sequence[Objective], trials: pd.DataFrame, **others: pd.DataFrame) -> "Ledger":
        """A ledger of tables in memory: the trials, and any of reports, starts, runs and costs."""
        frames = {name: others.pop(name, _empty(name)) for name in TABLES if name != "trials"}
        if others:
            raise TypeError(f"a ledger has no table {', '.join(others)}; it has {', '.join(TABLES)}")
        ledger = cls(locate("(in memory)"), frames["runs"], frames["costs"], tuple(objectives), {}, Notes(()))
        # In place of the cached properties, which would read files.
        vars(ledger).update(trials=trials, reports=frames["reports"], starts=frames["starts"])
        return ledger

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is missing from the tables, and why. Reading more columns may add some."""
        return tuple(self.said.texts)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial that ended."""
        return self.read("trials", ["*"])

    @cached_property
    def reports(self) -> pd.DataFrame:
        """One row per trial and rung at which it reported."""
        return self.read("reports", ["*"])

    @cached_property
    def starts(self) -> pd.DataFrame:
        """One row per trial that was started."""
        return self.read("starts", ["*"])

    @cached_property
    def settings(self) -> pd.DataFrame:
        """`config.*` and `label` of each configuration (the index), in the order of the trials."""
        if "trials" in vars(self):
            frame = self._chosen("trials", ["configuration", "label", "config.*"]).drop_duplicates("configuration")
        else:
            frame = self.tables["trials"].firsts("configuration", ["label", "config.*"])
        return frame.set_index("configuration")

    def read(self, name: str, patterns: Sequence[str], trials: Iterable[str] | None = None) -> pd.DataFrame:
        """The columns of the table `name` that match `patterns`: names, or prefixes followed by "*".

        With `trials`, only their rows. Columns that the table lacks are left out, except that `spared` and the
        objectives' columns are always there.
        """
        # Once a property has cached the whole table, its columns are taken from there.
        if name not in vars(self):
            return self._read(name, patterns, trials)
        frame = self._chosen(name, patterns)
        return frame if trials is None else frame[vars(self)[name]["trial"].isin(list(trials))].reset_index(drop=True)

    def columns(self, name: str) -> list[str]:
        """The column names of the table `name`; `read` always adds a few."""
        there = vars(self)[name].columns if name in vars(self) else self.tables[name].names
        return list(map(str, there))

    def _chosen(self, name: str, patterns: Sequence[str]) -> pd.DataFrame:
        """The matching columns of a table that is in memory as a whole."""
        frame: pd.DataFrame = vars(self)[name]
        return frame[matching(frame.columns, patterns)]

    def _read(self, name: str, patterns: Sequence[str], trials: Iterable[str] | None) -> pd.DataFrame:
        table = self.tables[name]
        frame = table.frame(patterns, trials) if table.names else _empty(name)
        if name in ("trials", "reports"):
            # Where no trial was ever evaluated these columns are missing; with NaN no analysis needs a case for that.
            promised = [f"{part}.{own.metric}" for own in self.objectives for part in ("metric", "spread")]
            for column in matching(promised, patterns):
                if column not in frame.columns:
                    frame[column] = pd.Series(float("nan"), index=frame.index, dtype="float64")
        if name == "trials" and matching(["spared"], patterns):
            there = frame["spared"] if "spared" in frame.columns else pd.Series(-1, index=frame.index)
            frame["spared"] = there.fillna(-1).astype("int64")
        return frame


def load(run: Location | str) -> Ledger:
    """Load the ledger in `run`: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.

    Damaged and foreign files are skipped and noted; rows that repeat a key are dropped and noted. Nothing is changed.
    Raises LedgerError if `run` is not a folder, holds no ledger, has an unknown schema version, or has no trial that
    ended; LocationError for an invalid address; StoreError if the store refuses or does not answer.
    """
    run = locate(run)
    check_place(run)
    notes = Notes(earlier_quarantine(run))
    try:
        ledger = _load(run, notes)
    except LedgerError as error:
        raise LedgerError(str(error), notes.texts) from error
    notes.loaded = True
    return ledger


def not_ended(ledger: Ledger) -> int:
    """The number of trials that started but have no ending in the ledger: they are running, or their process died."""
    started, ended = (_keys(ledger, name) for name in ("starts", "trials"))
    return len(started) - int(pc.sum(pc.is_in(started, ended)).as_py() or 0)


def _keys(ledger: Ledger, name: str) -> pa.Array:
    """The trials of a table, bypassing pandas, which takes a second for a million strings."""
    if name in vars(ledger) or not ledger.tables[name].names:
        return pa.array(ledger.read(name, ["trial"])["trial"], pa.string())
    return ledger.tables[name].table(["trial"])["trial"].combine_chunks()


def contract(ledger: Ledger, name: str) -> Any:
    """A fact that all invocations of the run share, by its name in the contract, such as "rungs" or "audit_share".

    Raises LedgerError if the contract does not have it.
    """
    facts = contract_facts(ledger)
    if name not in facts:
        raise LedgerError(f"{ledger.path / 'runs'} has no {name} in the column contract")
    return facts[name]


def contract_facts(ledger: Ledger) -> dict[str, Any]:
    """All facts of the run's contract by name; empty if it has no contract."""
    # The newest invocation: a resumed run may have been extended.
    text = ledger.runs["contract"].iloc[-1] if "contract" in ledger.runs.columns else None
    facts: dict[str, Any] = {} if pd.isna(text) else json.loads(text)
    return facts


def objectives_named(ledger: Ledger, metrics: Sequence[str] | None) -> tuple[Objective, ...]:
    """The objectives for `metrics`, in that order and once each; all of the run's if `metrics` is None.

    Raises LedgerError for a name that is not an objective of the run.
    """
    if metrics is None:
        return ledger.objectives
    known = {objective.metric: objective for objective in ledger.objectives}
    unknown = [metric for metric in metrics if metric not in known]
    if unknown:
        raise LedgerError(f"{unknown[0]!r} is not an objective of this run; choose from {', '.join(known)}")
    return tuple(known[metric] for metric in dict.fromkeys(metrics))


# --- the place ---------------------------------------------------------------------------------------------------


def check_place(run: Location) -> None:
    """Raise LedgerError if `run` holds no ledger, naming ledgers nearby; StoreError if a store refuses."""
    if isinstance(run, StorePath):
        run.check()
    elif not run.is_dir():
        raise LedgerError(f"{run} is not a folder{_choices(run.parent)}")
    if not _is_ledger(run):
        looked_for = ", ".join(f"{name}/*.parquet" for name in TABLES)
        raise LedgerError(f"there is no ledger in {run}: none of {looked_for}{_choices(run)}")


def _is_ledger(folder: Location) -> bool:
    return any(table_files(folder, name) for name in TABLES)


def _choices(folder: Location, most: int = 8) -> str:
    """The ledgers directly inside `folder`, as the end of a sentence. Stores are not searched."""
    if isinstance(folder, StorePath) or not folder.is_dir():
        return ""
    found = sorted(str(child) for child in folder.iterdir() if child.is_dir() and _is_ledger(child))
    if not found:
        return f"; no folder in {folder} holds one either"
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"; ledgers near it: {', '.join(found[:most])}{more}"


def earlier_quarantine(run: Location) -> list[str]:
    """A sentence about the files that were put aside before, if there are any."""
    folder = run / QUARANTINE
    count = len(files(folder))
    if not count:
        return []
    whose = "its" if count == 1 else "their"
    return [f"{folder} holds {counted(count, 'file')} put aside earlier; {whose} rows are missing"]


# --- the tables --------------------------------------------------------------------------------------------------


def _load(run: Location, notes: Notes) -> Ledger:
    tables = _Tables(run, notes)
    runs = _whole(tables["runs"])
    trials = tables["trials"]
    if not len(trials):
        started = len(tables["starts"])
        raise LedgerError(f"no trial of {run} has ended yet ({started} started), so there is nothing to analyze")
    if runs.empty:
        raise LedgerError(f"{run} does not record its objectives: there is no readable file in {run / 'runs'}")
    objectives = _objectives(runs, notes)
    _check_endings(trials)
    _check_metrics(trials.names, objectives)
    return Ledger(run, runs, _whole(tables["costs"]), objectives, tables, notes)


class _Tables(dict[str, Columns]):
    """The tables of a run, opened when first needed and checked for the columns that they must have."""

    def __init__(self, run: Location, notes: Notes) -> None:
        super().__init__()
        self._run, self._notes = run, notes

    def __missing__(self, name: str) -> Columns:
        table = Columns(self._run, name, DATASETS[name].key, self._notes.add)
        missing = [column for column in DATASETS[name].needed if column not in table.names] if table.names else []
        if missing:
            raise LedgerError(f"{self._run / name} has no column {', '.join(missing)}")
        self[name] = table
        return table


def _whole(table: Columns) -> pd.DataFrame:
    return table.frame(["*"]) if table.names else _empty(table.name)


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype="object") for column in DATASETS[name].needed})


def _check_endings(trials: Columns) -> None:
    unknown = sorted({str(ending) for ending in trials.table(["ending"])["ending"].unique().to_pylist()} - set(ENDINGS))
    if unknown:
        raise LedgerError(f"ending {', '.join(unknown)} is not known; the endings are {', '.join(ENDINGS)}")


def _check_metrics(names: Sequence[str], objectives: Iterable[Objective]) -> None:
    """Raise LedgerError if an objective has no column, unless the run never measured any metric."""
    # A run whose trials all diverged before their first report has no metric, but endings to analyze.
    there = [name for name in names if name.startswith("metric.")]
    for objective in objectives:
        if there and objective.column not in there:
            raise LedgerError(f"the trials have no {objective.column}; they have {', '.join(there)}")


# --- the objectives ----------------------------------------------------------------------------------------------


def _objectives(runs: pd.DataFrame, notes: Notes) -> tuple[Objective, ...]:
    texts = list(runs["objectives"])
    objectives = _parse_objectives(texts[-1])
    # Compared as parsed: different JSON texts may mean the same objectives.
    if any(_parse_objectives(text) != objectives for text in set(texts[:-1])):
        notes.add("the invocations of this run had different objectives; the newest one's are used")
    return objectives


def _parse_objectives(text: str) -> tuple[Objective, ...]:
    problem = f"the objectives of the run are {text!r}, not a JSON list of {{metric, direction}}"
    try:
        entries: Any = json.loads(text)
        objectives = tuple(Objective(str(entry["metric"]), str(entry["direction"])) for entry in entries)
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(problem) from error
    unknown = [objective.direction for objective in objectives if objective.direction not in DIRECTIONS]
    if unknown:
        raise LedgerError(f"direction {unknown[0]!r} is not known; choose from {', '.join(DIRECTIONS)}")
    if not objectives or len({objective.metric for objective in objectives}) < len(objectives):
        raise LedgerError(f"{problem} with different metrics")
    return objectives
