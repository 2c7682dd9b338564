"""The entry point of every script in `sweeps/`: `main(SWEEP)`, or `main(SWEEPS, switch="--task")`."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from analysis.ledger.files import LedgerError
from analysis.ledger.location import Location, StoreError
from analysis.screen import prepare_streams, shell_words, terminal
from enhance.config import ConfigError
from enhance.data import DataError, open_data
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.completed import completed
from sweeps.engine.cli.contract import RunMismatch
from sweeps.engine.cli.display.live import aside
from sweeps.engine.cli.display.plan import render_plan
from sweeps.engine.cli.driver import drive
from sweeps.engine.cli.options import Options, parse
from sweeps.engine.cli.script import StaleCode, check_script, command_of
from sweeps.engine.cli.series import ALL, Part, parts
from sweeps.engine.cli.sizing.estimate import estimate
from sweeps.engine.cli.sources import holds
from sweeps.engine.cluster.resources import Capacity, NotReady
from sweeps.engine.ledger.writer import LedgerBusy, LedgerLost, check_writable
from sweeps.engine.protocol import CannotStart
from sweeps.engine.run.shutdown import signals_interrupt
from sweeps.engine.space import SpaceError
from sweeps.engine.sweep import Sweep, SweepError, UnsuitableData
from sweeps.engine.workers.watchdog import leave

if TYPE_CHECKING:
    from sweeps.engine.cli.preflight import Cluster

REFUSALS = (
    UsageError,
    ConfigError,
    SpaceError,
    SweepError,
    UnsuitableData,
    DataError,
    LedgerBusy,
    LedgerError,
    RunMismatch,
    StaleCode,
    NotReady,
    CannotStart,
    ConnectionError,
)


def main(
    sweeps: Sweep | Mapping[str, Sweep], *, switch: str = "", default: str = ALL, argv: Sequence[str] | None = None
) -> NoReturn:
    """Run a sweep as the command line says, and exit: 0 done, 1 a disk or store failed, 2 refused, 130 interrupted.

    Of several `sweeps` by name, the option `switch` ("--task") chooses one, or ALL in turn, each in its own folder
    inside --out (default: a new one), which --resume continues; `default` is the choice without that option.
    """
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sweeps, Sweep):
        leave(run(sweeps, arguments))
    leave(run_chosen(sweeps, switch, default, arguments))


def run_chosen(sweeps: Mapping[str, Sweep], switch: str, default: str, argv: list[str]) -> int:
    """As `main` with several sweeps, but return the exit status. The first status that is not 0 ends a series.

    Nothing is computed before the arguments of all chosen sweeps have been read and found right.
    """
    # The parser of each sweep, which prints the rest of the help, does not know the switch.
    if "-h" in argv or "--help" in argv:
        print(f"{switch} is one of {', '.join(sweeps)}, {ALL} (default: {default}); the other options:\n")
    script = Path(sys.argv[0]).stem
    try:
        chosen = parts(sweeps, switch, default, argv, script)
    except REFUSALS as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    if len(chosen) > 1 and not (chosen := _able(chosen)):
        return 2
    # A generator, so that no part runs after one that has failed.
    return next((status for part in chosen if (status := run_part(part))), 0)


def _able(series: Sequence[Part]) -> list[Part]:
    """The parts whose sweeps can use the data; the others are named. None, with the reasons, if any part is refused."""
    able, left_out = [], {}
    wrong: dict[str, list[str]] = {}
    for part in series:
        try:
            _parse(part, command="")
            able.append(part)
        except UnsuitableData as error:
            left_out[part.sweep.name] = str(error)
        except REFUSALS as error:
            wrong.setdefault(str(error), []).append(part.sweep.name)
    for sentence, names in wrong.items():
        print(f"{', '.join(names)}: {sentence}", file=sys.stderr)
    if wrong:
        return []
    for name, sentence in left_out.items():
        print(f"{name}{' is left out' if able else ''}: {sentence}", file=sys.stderr)
    return able


def run(sweep: Sweep, argv: Sequence[str]) -> int:
    """As `main` with one sweep, but return the exit status."""
    return run_part(Part(sweep, argv))


def run_part(part: Part) -> int:
    """Run one sweep of a script, and return the exit status."""
    console = terminal()
    name = part.sweep.name
    try:
        check_script(sys.argv[0])
        with signals_interrupt():
            return _run(part, command_of(sys.argv[0]), console)
    # Before OSError, since ConnectionError is one.
    except REFUSALS as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        # These two are sentences. Others are an errno, and mostly the path that it is about.
        whole = isinstance(error, (StoreError, LedgerLost))
        where = f": {error.filename}" if error.filename else ""
        why = str(error) if whole else f"{error.strerror or error}{where}"
        print(f"{name}: {why}", file=sys.stderr)
        print("finished trials are safe in the ledger; fix the cause and repeat the command", file=sys.stderr)
        return 1


def _run(part: Part, script: str, console: Console) -> int:
    command = f"{script} {shell_words(*part.chosen, *part.argv)}".strip()
    wanted, options = _parse(part, command)
    if options.fit_minutes is not None:
        part = _fitted(part, wanted, options, script, console)
        return _run(part, script, console)
    again = f"{script} {shell_words(*(part.again or (*part.chosen, '--resume', options.out)))}"
    runs = part.series or (options.out,)
    if not options.address:
        return _carry_out(wanted, options, runs, again, None, console)
    # Only now, so that a mistyped option is refused without a cluster. What the cluster has then changes the defaults.
    with _joined(options, console) as cluster:
        wanted, options = _parse(part, command, cluster.capacity)
        return _carry_out(wanted, options, runs, again, cluster, console)


def _fitted(part: Part, sweep: Sweep, options: Options, script: str, console: Console) -> Part:
    """The part with the numbers of trials and steps that end in time, in the place of --fit, and say so."""
    # Imported here, because it loads Optuna and torch.
    from sweeps.engine.cli.sizing.fit import explicit, fit

    assert options.fit_minutes is not None
    began = time.monotonic()
    store = open_data(sweep.data, progress=aside(console))
    sweep.check_data(store.paired, store.spec, store.train_input.shape[1])
    # The sweeps of a script share the time.
    minutes = options.fit_minutes / max(1, len(part.series))
    found = fit(sweep, store, options.device, options.workers, 60 * minutes - (time.monotonic() - began))
    argv = explicit(part.argv, found.budget)
    aside(console)(found.words(minutes, f"{script} {shell_words(*part.chosen, *argv)}"))
    return dataclasses.replace(part, argv=argv)


def _parse(part: Part, command: str, cluster: Capacity | None = None) -> tuple[Sweep, Options]:
    return parse(part.sweep, part.argv, command, cluster, name=part.name, like=part.like)


def _joined(options: Options, console: Console) -> "contextlib.AbstractContextManager[Cluster]":
    # Imported here, because most runs join no cluster.
    from sweeps.engine.cli.preflight import joined

    return joined(options, aside(console, "yellow"))


def _carry_out(
    sweep: Sweep,
    options: Options,
    runs: Sequence[Location],
    again: str,
    cluster: "Cluster | None",
    console: Console,
) -> int:
    """Run the sweep. The command `again` continues it and the other `runs` of its series."""
    if len(runs) > 1 and (done := completed(sweep, options)):
        console.print(f"{sweep.name}: {done}", soft_wrap=True)
        return 0
    console.print(render_plan(sweep, options))
    for note in options.notes:
        aside(console, "yellow")(f"note: {note}")
    if options.estimate:
        console.print(f"cost: {_cost(sweep, options, console)}", soft_wrap=True)
    if options.dry_run:
        console.print("\ndry run: no trial was trained", style="dim")
        return 0
    # Before Ray and the data, which take seconds to minutes.
    _check_writable(options.out)
    console.print(f"\nstarting; to continue after an interruption: {again}\n", style="dim", soft_wrap=True)
    try:
        controller = drive(sweep, options, console, cluster)
    except KeyboardInterrupt:
        # Where no invocation is on record, the command that we would suggest has nothing to resume.
        if not any(holds("--resume", run, "runs") for run in runs):
            console.print("\ninterrupted before anything was computed; to start again, repeat the command")
            return 130
        console.print(f"\ninterrupted; every finished trial is in {options.out}; to continue: {again}", soft_wrap=True)
        return 130
    if controller.closing and controller.closing.startswith("SIG"):
        console.print(
            f"\nstopped by {controller.closing} after every running trial reached its next rung; finished trials are "
            f"in {options.out}; to continue: {again}",
            soft_wrap=True,
        )
        return 130
    # Imported here, because pandas is not needed until the end. On Ray an idle moment has imported it already.
    from sweeps.engine.cli.display.summary import print_summary

    print_summary(options.out, sweep.answered_by, controller.search_notes, console)
    if controller.closing:
        console.print(f"stopped because {controller.closing}; to continue: {again}", soft_wrap=True)
    return 0


def _check_writable(run: Location) -> None:
    try:
        check_writable(run)
    except StoreError as error:
        raise UsageError(f"the ledger cannot be written; {error}") from None


def _cost(sweep: Sweep, options: Options, console: Console) -> str:
    """What the run will cost, extrapolated from a few measured steps."""
    store = open_data(sweep.data, progress=aside(console))
    return estimate(sweep, store, options.device).words(options.price_per_hour)
