"""The outcomes of replays: a table for people, and rows that `analysis` reads (RUN/replay)."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.table import Table

from analysis.ledger.durable import make_folder
from analysis.ledger.location import Location
from analysis.ledger.schema import ENDINGS, REPLAY
from sweeps.engine.ledger.writer import Row, commit_file, encode
from sweeps.engine.replay.recording import Recording
from sweeps.engine.replay.simulation import Trouble

EARLY = 0.2
"""Arms are compared at this share of the full grid's steps, and at their ends. By then an arm that stops nothing has
found everything, so the end alone would say little."""


@dataclass(frozen=True)
class Arm:
    """One way of searching: a row of the table."""

    sampler: str
    stopping: str
    rungs: int
    reduction: int


@dataclass(frozen=True)
class Completed:
    """The state of a run when a trial completed.

    Shares are of the full grid's steps, which are counted when they begin, and of its hypervolume.
    """

    time_s: float
    steps_share: float
    volume_share: float


@dataclass(frozen=True)
class Outcome:
    """The outcome of one replay; `best` is the first objective of the best completed trial, NaN if there is none."""

    history: tuple[Completed, ...]
    steps_share: float
    time_s: float
    best: float
    endings: Mapping[str, int]

    def volume_share(self, steps_share: float = float("inf")) -> float:
        """The share of the full grid's hypervolume when that share of its steps had been begun; else at the end."""
        # The hypervolume only ever grows, so the largest is the last.
        return max((moment.volume_share for moment in self.history if moment.steps_share <= steps_share), default=0.0)


@dataclass(frozen=True)
class ReplaySetup:
    """What all arms of a comparison share.

    `step_s` is None if steps take the recorded seconds; each replay has its own seed of `trouble`.
    """

    recording: Recording
    workers: int
    trouble: Trouble
    step_s: float | None


def outcome_rows(played: ReplaySetup, outcomes: Mapping[Arm, Sequence[Outcome]]) -> list[Row]:
    """A row for each arm and seed, counted from 0. All rows of one call share `replay` and `started`."""
    recording, trouble = played.recording, played.trouble
    common: Row = {
        "replay": uuid.uuid4().hex[:8],
        "started": datetime.now(UTC),
        "objectives": encode(recording.objectives),
        "curves": len(recording.curves),
        "steps": recording.steps,
        "workers": played.workers,
        "stragglers": trouble.stragglers,
        "slowdown": trouble.slowdown,
        "lost": trouble.lost,
        "nan": trouble.nan,
        "step_s": played.step_s,
    }
    return [
        {**common, **_arm_cells(recording, arm), "seed": seed, **_outcome_cells(outcome)}
        for arm, found in outcomes.items()
        for seed, outcome in enumerate(found)
    ]


def keep(rows: Sequence[Row], run: Location) -> Location:
    """Make `rows` durable as a new file of RUN/replay and return its name. Raises OSError."""
    started = rows[0]["started"].strftime("%Y%m%dT%H%M%S")
    folder = run / REPLAY.name
    if isinstance(folder, Path):
        make_folder(folder)
    final = folder / f"{started}-{rows[0]['replay']}.parquet"
    commit_file(rows, final)
    return final


def arms_table(played: ReplaySetup, outcomes: Mapping[Arm, Sequence[Outcome]]) -> Table:
    """The arms as rows: medians and quartiles over seeds."""
    recording, seeds = played.recording, max(map(len, outcomes.values()))
    table = Table(
        title=f"Share of all {len(recording.curves)} curves' hypervolume in {', '.join(recording.objectives)}",
        caption=f"medians (and quartiles) over {seeds} seeds, {played.workers} workers",
    )
    for name in ("sampler", "stopping", "rungs"):
        table.add_column(name)
    best = f"best {recording.objectives[0]}"
    for name in (f"% at {EARLY:.0%} of steps", "% at the end", "% of steps", "time s", best):
        table.add_column(name, justify="right")
    table.add_column("endings")
    for arm, found in outcomes.items():
        table.add_row(arm.sampler, arm.stopping, _rung_steps(recording, arm), *_cells(found))
    return table


def arm_records(played: ReplaySetup, outcomes: Mapping[Arm, Sequence[Outcome]]) -> list[Row]:
    """The arms with the numbers of `arms_table`: medians over seeds, and quartiles as NAME_low and NAME_high.

    Shares are from 0 to 1; `best` is in the first objective's unit, NaN if some seed completed no trial.
    """
    recording = played.recording
    return [{**_arm_cells(recording, arm), "seeds": len(found), **_medians(found)} for arm, found in outcomes.items()]


# --- the cells ---------------------------------------------------------------------------------------------------


def _arm_cells(recording: Recording, arm: Arm) -> Row:
    named = {"sampler": arm.sampler, "stopping": arm.stopping, "rungs": arm.rungs, "reduction": arm.reduction}
    return {**named, "rung_steps": _rung_steps(recording, arm)}


def _outcome_cells(outcome: Outcome) -> Row:
    return {
        "steps_share": outcome.steps_share,
        "volume_share_early": outcome.volume_share(EARLY),
        "volume_share": outcome.volume_share(),
        "time_s": outcome.time_s,
        "best": outcome.best if np.isfinite(outcome.best) else None,
        **{f"n_{ending}": outcome.endings.get(ending, 0) for ending in ENDINGS},
    }


def _medians(outcomes: Sequence[Outcome]) -> dict[str, float]:
    shares = {
        "volume_share_early": [outcome.volume_share(EARLY) for outcome in outcomes],
        "volume_share": [outcome.volume_share() for outcome in outcomes],
        "steps_share": [outcome.steps_share for outcome in outcomes],
        "time_s": [outcome.time_s for outcome in outcomes],
        "best": [outcome.best for outcome in outcomes],
    }
    found: dict[str, float] = {}
    for name, values in shares.items():
        low, middle, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
        found |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    counts = {ending: [outcome.endings.get(ending, 0) for outcome in outcomes] for ending in ENDINGS}
    return found | {f"n_{ending}": float(np.median(numbers)) for ending, numbers in counts.items()}


def _rung_steps(recording: Recording, arm: Arm) -> str:
    return " ".join(map(str, recording.budget(arm.rungs, arm.reduction).rung_steps()))


def _cells(outcomes: Sequence[Outcome]) -> list[str]:
    counts = {ending: [outcome.endings.get(ending, 0) for outcome in outcomes] for ending in ENDINGS}
    return [
        _percent(outcomes, lambda outcome: outcome.volume_share(EARLY)),
        _percent(outcomes, lambda outcome: outcome.volume_share()),
        _percent(outcomes, lambda outcome: outcome.steps_share),
        f"{np.median([outcome.time_s for outcome in outcomes]):.1f}",
        f"{np.median([outcome.best for outcome in outcomes]):.2f}",
        ", ".join(f"{np.median(numbers):g} {ending}" for ending, numbers in counts.items() if any(numbers)),
    ]


def _percent(outcomes: Sequence[Outcome], share: Callable[[Outcome], float]) -> str:
    low, middle, high = 100 * np.quantile([share(outcome) for outcome in outcomes], (0.25, 0.5, 0.75))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
