"""Trials in the driver's memory, and their conversion to and from ledger rows."""

import hashlib
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from enhance.conditions import Conditions, Cost
from enhance.config import Config, Scalar, digest, flatten
from enhance.report import Report
from sweeps.engine.ledger.writer import Row


@dataclass(frozen=True)
class RunContext:
    """What all trials of a run share: data fingerprint, code hash, and the run.* columns of every row."""

    data: str
    code: str
    columns: Mapping[str, Scalar]


@dataclass
class Trial:
    """One configuration with one seed, and everything that workers have reported about it.

    `number` counts configurations in the order they were proposed; `values` are the searched leaves; `label` names an
    enqueued or listed configuration and is "" for a sampler's suggestion. `stage` is "search" or "confirm". `spared` is
    the rung at which the audit saved the trial from being stopped, -1 if there is none. `state` is what a worker
    resumes from, None to start over. `wall_before_s` is the wall time in seconds spent before that state.
    `trained` counts steps, reported or not, and `unreported_s` is the time spent on work that ended without a report.
    """

    id: str
    number: int
    config: Config
    values: Mapping[str, Scalar]
    label: str
    seed: int
    stage: str = "search"
    spared: int = -1
    state: Any = None
    started: datetime | None = None
    ending: str = ""
    reason: str = ""
    reports: dict[int, Report] = field(default_factory=dict)
    parameters: int | None = None
    host: str = ""
    captured: str | None = None
    per_device: int | None = None
    wall_s: float = 0.0
    wall_before_s: float = 0.0
    trained: int = 0
    unreported_s: float = 0.0

    @property
    def steps(self) -> int:
        """The steps it has trained, as far as is known. Of a lost worker, those up to its last report are."""
        # A worker that has begun the trial again has trained fewer than the reports show.
        return max([self.trained, *self.reports])

    @property
    def train_s(self) -> float:
        """Seconds of training; what ended without a report counts as training."""
        return sum(report.train_s for report in self.reports.values()) + self.unreported_s

    @property
    def eval_s(self) -> float:
        """Seconds of evaluation."""
        return sum(report.eval_s for report in self.reports.values())

    def last(self) -> Report | None:
        """The report at the highest step, or None."""
        return self.reports[max(self.reports)] if self.reports else None

    def forget_details(self) -> None:
        """Drop everything but the metrics of each report to save memory; the rest is in the ledger."""
        for step, report in self.reports.items():
            # Every report that is unpickled brings its own copies of the names; interned, thousands share one.
            metrics = {sys.intern(name): value for name, value in report.metrics.items()}
            self.reports[step] = replace(report, metrics=metrics, spread={}, untouched={}, losses={}, signals={})


def trial_identity(config: Config, seed: int, context: RunContext) -> str:
    """The trial's ID, 16 hex digits: a hash of configuration, seed, data and code, and nothing else."""
    parts = f"{digest(config)}/{seed}/{context.data}/{context.code}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def trials_from_rows(
    starts: Sequence[Row], reports: Sequence[Row], trials: Sequence[Row], build: Callable[[Row], Trial]
) -> dict[str, Trial]:
    """The trials of earlier invocations by ID, with their reports and endings; `build` makes one from its start row.

    Where a file was damaged, the row of a trial's ending stands in for its start and the metrics of its last report.
    If it had not ended, its configuration is unknown without its start, and its reports are left out.
    """
    found = {row["trial"]: build(row) for row in starts}
    for row in trials:
        if row["trial"] not in found:
            found[row["trial"]] = build({**row, "started": row["time.started"]})
    # By step, so that what stands in every report, such as `spared`, ends as the last rung has it.
    for row in sorted(reports, key=lambda row: int(row["step"])):
        if row["trial"] not in found:
            continue
        trial = found[row["trial"]]
        trial.reports[row["step"]] = report_from_row(row)
        trial.parameters, trial.spared, trial.host = row["cost.parameters"], row["spared"], row["run.host"]
    for row in trials:
        trial = found[row["trial"]]
        trial.ending, trial.reason, trial.host = row["ending"], row["reason"], row["run.host"]
        if row["ending"] in ("completed", "stopped") and row["steps"] not in trial.reports:
            trial.reports[row["steps"]] = _report_from_ending(row)
        trial.wall_s, trial.parameters, trial.spared = row["time.wall_s"], row["cost.parameters"], row["spared"]
        # `train_s` is the sum over the reports here, since `unreported_s` is still 0. The row's total includes both.
        trial.trained, trial.unreported_s = row["steps"], max(0.0, row["time.train_s"] - trial.train_s)
        trial.forget_details()
    return found


def renumber(trials: Iterable[Trial]) -> list[Trial]:
    """Make the numbers of configurations unique, in place: two drivers that overlapped may have used one twice."""
    found = list(trials)
    unused = itertools.count(1 + max((trial.number for trial in found), default=0))
    owners: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for trial in found:
        configuration = digest(trial.config)
        if configuration not in numbers:
            # The first configuration with a number keeps it; another one with the same number gets an unused one.
            own = owners.setdefault(trial.number, configuration) == configuration
            numbers[configuration] = trial.number if own else next(unused)
        trial.number = numbers[configuration]
    return found


def network_identity(config: Config) -> str:
    """The network's ID, 16 hex digits: a hash of the `net.*` leaves, independent of the training."""
    leaves = {name: value for name, value in flatten(config).items() if name.startswith("net.")}
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:16]


def start_row(trial: Trial, sweep: str) -> Row:
    """The `starts` row of a trial."""
    return _identity(trial, sweep) | {"started": trial.started}


def report_row(trial: Trial, report: Report) -> Row:
    """The `reports` row of one report."""
    return {
        "trial": trial.id,
        "step": report.step,
        **_scores(report),
        **{f"loss.{name}": value for name, value in report.losses.items()},
        "loss.total": report.loss_total,
        **{f"signal.{name}": value for name, value in report.signals.items()},
        "grad_norm": report.grad_norm,
        "learning_rate": report.learning_rate,
        "spared": trial.spared,
        "cost.parameters": trial.parameters,
        "run.host": trial.host,
        "train_s": report.train_s,
        "eval_s": report.eval_s,
    }


def trial_row(trial: Trial, sweep: str, rung_steps: tuple[int, ...], context: RunContext) -> Row:
    """The `trials` row of a trial: its ending, and its scores at the last rung it reached."""
    last = trial.last()
    return {
        **_identity(trial, sweep),
        **(_scores(last) if last else {"images": None}),
        "ending": trial.ending,
        "reason": trial.reason,
        "rung": rung_steps.index(last.step) if last else -1,
        "spared": trial.spared,
        "steps": trial.steps,
        "cost.parameters": trial.parameters,
        "time.started": trial.started,
        "time.ended": datetime.now(UTC),
        "time.train_s": trial.train_s,
        "time.eval_s": trial.eval_s,
        "time.wall_s": trial.wall_s,
        "run.host": trial.host,
        "run.captured": trial.captured,
        "run.per_device": trial.per_device,
        **context.columns,
    }


def report_from_row(row: Row) -> Report:
    """The inverse of `report_row`."""
    losses = _with_prefix("loss.", row)
    # "loss.total" is the sum, and no term: it is taken out before `losses` is passed on.
    return Report(
        step=row["step"],
        metrics=_with_prefix("metric.", row),
        spread=_with_prefix("spread.", row),
        untouched=_with_prefix("untouched.", row),
        images=row["images"],
        loss_total=losses.pop("total"),
        losses=losses,
        signals=_with_prefix("signal.", row),
        grad_norm=row["grad_norm"],
        learning_rate=row["learning_rate"],
        train_s=row["train_s"],
        eval_s=row["eval_s"],
    )


def _report_from_ending(row: Row) -> Report:
    """The last report of a trial that came to a rung, with its metrics alone, from its row in `trials`."""
    return Report(
        step=row["steps"],
        metrics=_with_prefix("metric.", row),
        spread={},
        untouched={},
        images=row["images"],
        losses={},
        signals={},
        loss_total=math.nan,
        grad_norm=math.nan,
        learning_rate=math.nan,
        train_s=0.0,
        eval_s=0.0,
    )


def cost_row(
    network: str, config: Mapping[str, Scalar], cost: Cost, host: str, context: RunContext, measured_in: str
) -> Row:
    """The `costs` row of one network on one device; `measured_in` is the `run.run` that measured it."""
    measured = asdict(cost)
    conditions = measured.pop("conditions")
    return {
        "network": network,
        **{f"config.{name}": value for name, value in config.items() if name.startswith("net.")},
        **{f"cost.{name}": value for name, value in {**measured, **conditions}.items()},
        "measured_in": measured_in,
        "run.host": host,
        **context.columns,
    }


def cost_from_row(row: Row) -> Cost:
    """The inverse of `cost_row`."""
    conditions = Conditions(**{own.name: row[f"cost.{own.name}"] for own in fields(Conditions)})
    measured = {own.name: row[f"cost.{own.name}"] for own in fields(Cost) if own.name != "conditions"}
    return Cost(conditions=conditions, **measured)


def _identity(trial: Trial, sweep: str) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "sweep": sweep,
        "stage": trial.stage,
        "number": trial.number,
        "label": trial.label,
        "configuration": digest(trial.config),
        "seed": trial.seed,
        **{f"config.{name}": value for name, value in flatten(trial.config).items()},
    }


def _scores(report: Report) -> dict[str, Any]:
    return {
        **{f"metric.{name}": value for name, value in report.metrics.items()},
        **{f"spread.{name}": value for name, value in report.spread.items()},
        **{f"untouched.{name}": value for name, value in report.untouched.items()},
        "images": report.images,
    }


def _with_prefix(prefix: str, row: Row) -> dict[str, float]:
    # Every file has all columns that some trial of the run fills; what this trial does not have is null.
    return {name.removeprefix(prefix): v for name, v in row.items() if name.startswith(prefix) and v is not None}
