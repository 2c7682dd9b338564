"""The entry point of every script in `sweeps/`: `main(SWEEP)`, or `main(SWEEPS, switch="--task")`."""

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from analysis.ledger.files import LedgerError
from analysis.ledger.location import Location, StoreError
from analysis.screen import prepare_streams, shell_words, terminal
from enhance.config import ConfigError
from enhance.data import DataError, open_data
from sweeps.engine.cli.arguments import UsageError
from sweeps.engine.cli.contract import RunMismatch
from sweeps.engine.cli.display.live import aside
from sweeps.engine.cli.display.plan import render_plan
from sweeps.engine.cli.driver import drive
from sweeps.engine.cli.options import Options, parse
from sweeps.engine.cli.script import StaleCode, check_script, command_of
from sweeps.engine.cli.sources import holds
from sweeps.engine.cluster.resources import NotReady
from sweeps.engine.ledger.writer import LedgerBusy, LedgerLost, check_writable
from sweeps.engine.protocol import CannotStart
from sweeps.engine.space import SpaceError
from sweeps.engine.sweep import Sweep, SweepError
from sweeps.engine.workers.watchdog import leave

if TYPE_CHECKING:
    from sweeps.engine.cli.preflight import Cluster

ALL = "all"
FOLDERS = ("--out", "--resume")

REFUSALS = (
    UsageError,
    ConfigError,
    SpaceError,
    SweepError,
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
    inside --out; `default` is the choice without that option.
    """
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sweeps, Sweep):
        leave(run(sweeps, arguments))
    leave(run_chosen(sweeps, switch, default, arguments))


def run_chosen(sweeps: Mapping[str, Sweep], switch: str, default: str, argv: list[str]) -> int:
    """As `main` with several sweeps, but return the exit status. The first status that is not 0 ends a series."""
    # Only the choice is read here: the parser of the chosen sweep knows its defaults, and does the rest.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(switch, dest="name", default=default)
    try:
        chosen, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError:
        chosen, rest = argparse.Namespace(name=""), []
    if chosen.name not in (*sweeps, ALL):
        print(f"{switch} {chosen.name}: choose from {', '.join(sweeps)}, {ALL}", file=sys.stderr)
        return 2
    if "-h" in rest or "--help" in rest:
        print(f"{switch} is one of {', '.join(sweeps)}, {ALL} (default: {default}); the other options:\n")
    if chosen.name != ALL:
        return run(sweeps[chosen.name], rest, (switch, chosen.name))
    for name, sweep in sweeps.items():
        status = run(sweep, _inside(rest, name), (switch, name))
        if status:
            return status
    return 0


def _inside(argv: Sequence[str], name: str) -> list[str]:
    """The arguments, with --out and --resume pointing to the folder `name` inside theirs."""
    found, before = [], ""
    for argument in argv:
        option, _, folder = argument.partition("=")
        if before in FOLDERS and argument:  # an empty one is refused, and must not become /NAME
            argument = f"{argument.rstrip('/')}/{name}"  # also of an address such as s3://bucket/runs
        elif option in FOLDERS and folder:
            argument = f"{option}={folder.rstrip('/')}/{name}"
        found.append(argument)
        before = argument
    return found


def run(sweep: Sweep, argv: list[str], chosen: tuple[str, ...] = ()) -> int:
    """As `main` with one sweep, but return the exit status. `chosen` are the arguments that chose it among others."""
    console = terminal()
    try:
        check_script(sys.argv[0])
        return _run(sweep, argv, f"{command_of(sys.argv[0])} {shell_words(*chosen)}".strip(), console)
    except REFUSALS as error:
        print(f"{sweep.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{sweep.name}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        whole = isinstance(error, (StoreError, LedgerLost))  # these are sentences; others are an errno and a path
        where = f": {error.filename}" if error.filename else ""  # without a name nothing is known but the errno
        why = str(error) if whole else f"{error.strerror or error}{where}"
        print(f"{sweep.name}: {why}", file=sys.stderr)
        print("finished trials are safe in the ledger; fix the cause and repeat the command", file=sys.stderr)
        return 1


def _run(sweep: Sweep, argv: list[str], script: str, console: Console) -> int:
    command = f"{script} {shell_words(*argv)}".strip()
    wanted, options = parse(sweep, argv, command)
    if not options.address:
        return _carry_out(wanted, options, script, None, console)
    with _joined(options, console) as cluster:  # only now: a mistyped option needs no cluster to be refused
        wanted, options = parse(sweep, argv, command, cluster.capacity)
        return _carry_out(wanted, options, script, cluster, console)


def _joined(options: Options, console: Console) -> "contextlib.AbstractContextManager[Cluster]":
    from sweeps.engine.cli.preflight import joined  # here: most runs join no cluster

    return joined(options, aside(console, "yellow"))


def _carry_out(sweep: Sweep, options: Options, script: str, cluster: "Cluster | None", console: Console) -> int:
    console.print(render_plan(sweep, options))
    for note in options.notes:
        aside(console, "yellow")(f"note: {note}")
    if options.estimate:
        console.print(f"cost: {_cost(sweep, options, console)}", soft_wrap=True)
    if options.dry_run:
        console.print("\ndry run: no trial was trained", style="dim")
        return 0
    _check_writable(options.out)
    again = f"{script} --resume {shell_words(options.out)}"
    console.print(f"\nstarting; to continue after an interruption: {again}\n", style="dim", soft_wrap=True)
    try:
        controller = drive(sweep, options, console, cluster)
    except KeyboardInterrupt:
        if not holds("--resume", options.out, "runs"):
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
    from sweeps.engine.cli.display.summary import print_summary  # here: pandas and moocore are not needed until the end

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
    from sweeps.engine.cli.estimate import estimate  # here: it loads torch

    store = open_data(sweep.data, progress=aside(console))
    return estimate(sweep, store, options.device).words(options.price_per_hour)
