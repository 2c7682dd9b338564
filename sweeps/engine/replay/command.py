"""Replay: search recorded curves again, with the same search and rungs, in simulated time.

    python -m sweeps.engine.replay LEDGER_OR_PARQUET [--samplers random,tpe] [--stopping pareto,first,median,none] ...

It shows within seconds what a sampler, a spacing of rungs or a stopping rule would have found, and at what cost: no
network is trained. Only trials with a report at every requested rung can be used. A point that was not recorded ends as
refused. The outcomes are kept beside the ledger, in RUN/replay, for `python -m analysis stopping`.
"""

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from analysis.ledger.files import LedgerError
from analysis.ledger.location import Location, LocationError, StoreError, locate
from analysis.screen import shell_words, terminal
from enhance.conditions import Conditions
from enhance.config import Scalar, flatten
from enhance.json_output import answer_text, error_text
from sweeps.engine.designs import Design, DesignError, Grid, Labelled
from sweeps.engine.environment import analysis_command
from sweeps.engine.ledger.writer import Row
from sweeps.engine.replay.arms import Arm, Completed, Outcome, ReplaySetup, arm_records, arms_table, keep, outcome_rows
from sweeps.engine.replay.options import EACH, SPACING, parser
from sweeps.engine.replay.recording import Recording, RecordingError, is_file, load, own_spacing
from sweeps.engine.replay.simulation import Simulation, Trouble, TroubleError
from sweeps.engine.replay.volume import Volume
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.trials import RunContext
from sweeps.engine.space import Space, chosen, contains
from sweeps.engine.sweep import Sweep, SweepError

PLAIN_WIDTH = 150
"""Columns of the table when the output is not a terminal."""


# --- playing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Listed(Design):
    """Exactly these points, in this order."""

    listed: tuple[Mapping[str, Scalar], ...]

    def problems(self, space: Space) -> list[str]:
        return [problem for point in self.listed if (problem := contains(space, point))]

    def _points(self, space: Space) -> Iterator[Labelled]:
        return (("", dict(point)) for point in self.listed)


class MemoryLedger:
    """A ledger in memory: rows by dataset, in the order of their commits."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}

    def commit(self, dataset: str, rows: Sequence[Row]) -> None:
        """Append `rows`."""
        self.rows.setdefault(dataset, []).extend(rows)


def sweep_of(recording: Recording, arm: Arm, seed: int) -> Sweep:
    """A sweep over the recorded space, with a budget of as many trials as there are curves.

    Raises SweepError, and RecordingError if the steps are too few for the rungs.
    """
    budget = recording.budget(arm.rungs, arm.reduction)
    return Sweep(
        name="replay",
        question="What would this search have found, and at what cost?",
        found="nothing: the curves are recorded ones",
        space=recording.space,
        fixed=recording.fixed,
        objectives=recording.objectives,
        budget=budget,
        smoke=budget,
        full=budget,
        sampler="random" if arm.sampler == EACH else arm.sampler,
        design=_each(recording, seed) if arm.sampler == EACH else None,
        stopping=arm.stopping,
        # A sweep with latency objectives must have one. Nothing is measured: the curves hold the costs.
        cost=Conditions(),
        search_seed=seed,
    )


def _each(recording: Recording, seed: int) -> Listed:
    keys = list(recording.curves)
    order = np.random.default_rng(seed).permutation(len(keys))
    # None in a key means that the configuration lacks the leaf.
    named = [zip(recording.space, keys[index], strict=True) for index in order]
    points = [{name: value for name, value in point if value is not None} for point in named]
    return Listed(listed=tuple(chosen(recording.space, point) for point in points))


def replay(
    recording: Recording,
    volume: Volume,
    sweep: Sweep,
    workers: int,
    trouble: Trouble,
    step_s: float | None = None,
    ledger: MemoryLedger | None = None,
) -> Outcome:
    """Run `sweep` to its end on simulated workers, into `ledger` if one is given."""
    book = MemoryLedger() if ledger is None else ledger
    controller = RunController(sweep, book, RunContext(data="recorded", code="recorded", columns={}))
    simulation = Simulation(controller, recording.find, workers, trouble, step_s)
    simulation.play()
    whole = len(recording.curves) * recording.steps
    history = []
    front = recording.final(())
    for ended in simulation.ended.values():
        trial = controller.trials[ended.trial]
        if trial.ending == "completed":
            front = volume.front(np.vstack([front, recording.final([recording.key(flatten(trial.config))])]))
            history.append(Completed(ended.time_s, ended.steps / whole, volume.share(front)))
    # The best point in one objective is always on the front.
    best = max if volume.maximise[0] else min
    return Outcome(
        history=tuple(history),
        steps_share=simulation.steps / whole,
        time_s=simulation.time_s,
        best=float(best(front[:, 0], default=np.nan)),
        endings=Counter(trial.ending for trial in controller.trials.values()),
    )


# --- the command -------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None, program: str = "python -m sweeps.engine.replay") -> int:
    """The command line, which the help calls `program`. The exit status: 0, or 2 for what cannot be replayed."""
    options = parser(program).parse(argv)
    # With --json only the object goes to standard output.
    console = terminal(PLAIN_WIDTH, stderr=options.json)
    try:
        _compare(options, console)
    except (RecordingError, LedgerError, LocationError, StoreError, SweepError, TroubleError) as error:
        if options.json:
            sys.stdout.write(error_text(str(error), _kind_of(error)) + "\n")
        else:
            console.print(str(error), style="red", soft_wrap=True)
        return 2
    return 0


def _kind_of(error: Exception) -> str:
    if isinstance(error, StoreError):
        return "store"
    return "ledger" if isinstance(error, LedgerError | RecordingError) else "usage"


def _compare(options: argparse.Namespace, console: Console) -> None:
    source = locate(options.source)
    spacings = _spacings(source, options)
    recording = load(source, spacings, options.objectives)
    volume = Volume(recording)
    _say_what(recording, console)
    ways = itertools.product(options.samplers or _fitting(recording), options.stopping)
    outcomes = {}
    for arm in [Arm(*way, *spacing) for way in ways for spacing in spacings]:
        with console.status(f"{arm.sampler}, {arm.stopping}, {arm.rungs} rungs, reduction {arm.reduction}"):
            outcomes[arm] = [_play(recording, volume, arm, seed, options) for seed in range(options.seeds)]
    # Seed 0 stands for all: a setup says which faults there were, not which trials they hit.
    played = ReplaySetup(recording, options.workers, _trouble(options, 0), options.seconds_per_step)
    if not options.json:
        console.print(arms_table(played, outcomes))
    kept = None if is_file(source) else _keep(source, outcome_rows(played, outcomes), console)
    if options.json:
        sys.stdout.write(_json_text(source, played, outcomes, kept) + "\n")


def _json_text(
    source: Location, played: ReplaySetup, outcomes: Mapping[Arm, Sequence[Outcome]], kept: Location | None
) -> str:
    recording = played.recording
    fields = {
        "source": str(source),
        "objectives": recording.objectives,
        "curves": len(recording.curves),
        "steps": recording.steps,
        "points": _points(recording),
        "unused": recording.unused,
        "workers": played.workers,
        "arms": arm_records(played, outcomes),
        "kept": None if kept is None else str(kept),
    }
    return answer_text("replay", fields)


def _spacings(source: Location, options: argparse.Namespace) -> list[tuple[int, int]]:
    """The pairs of rungs and reduction to replay; the run's own, unless options say others."""
    rungs, reduction = own_spacing(source) or SPACING
    return list(itertools.product(options.rungs or (rungs,), options.reduction or (reduction,)))


def _fitting(recording: Recording) -> tuple[str, ...]:
    """The default samplers: those that propose unrecorded points only if the whole grid was recorded."""
    return ("random", "tpe") if len(recording.curves) == _points(recording) else (EACH,)


def _points(recording: Recording) -> int | None:
    """The number of points of the space; None if a grid may not have so many."""
    try:
        return Grid().size(recording.space)
    except DesignError:
        return None


def _keep(run: Location, rows: Sequence[Row], console: Console) -> Location:
    try:
        kept = keep(rows, run)
    except OSError as error:
        raise RecordingError(f"the outcomes could not be kept in {run}: {error.strerror or error}") from error
    for line in (f"kept: {kept}", f"next: {analysis_command()} stopping {shell_words(run)}"):
        console.print(line, soft_wrap=True)
    return kept


def _say_what(recording: Recording, console: Console) -> None:
    points = _points(recording) or "too many to count"
    curves = f"{len(recording.curves)} curves of {recording.steps} steps"
    console.print(f"{curves}; points of their space: {points}")
    for reason, count in recording.unused.items():
        console.print(f"not used: {count} trials {reason}", style="yellow")


def _play(recording: Recording, volume: Volume, arm: Arm, seed: int, options: argparse.Namespace) -> Outcome:
    sweep = sweep_of(recording, arm, seed)
    return replay(recording, volume, sweep, options.workers, _trouble(options, seed), options.seconds_per_step)


def _trouble(options: argparse.Namespace, seed: int) -> Trouble:
    return Trouble(
        stragglers=options.stragglers, slowdown=options.slowdown, lost=options.lost, nan=options.nan, seed=seed
    )
