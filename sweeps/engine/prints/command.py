"""`teststrip print RUN --steps N --out PRINT`: train one configuration of a run to a real budget."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from analysis.ledger.load import LedgerError, load
from analysis.ledger.location import KINDS, Location, StoreError
from analysis.screen import shell_words, terminal
from enhance.data import DataError, open_data
from sweeps.engine.cli.arguments import ArgumentParser, UsageError, add_running
from sweeps.engine.cli.display.live import aside
from sweeps.engine.cli.series import Part
from sweeps.engine.cli.sources import holds, located
from sweeps.engine.command import REFUSALS, run_part
from sweeps.engine.environment import analysis_command
from sweeps.engine.prints.choose import Chosen, choose
from sweeps.engine.prints.finish import PICTURES, Printed, printed, summary, write_page
from sweeps.engine.prints.sweep import NAME, REPORTS, advice, print_sweep, recorded_print
from sweeps.engine.workers.watchdog import leave

SCRIPT = "print.py"
"""The script in `cluster/` that `ray submit` takes."""

OWN = ("run", "trial", "front", "knee", "best", "steps", "every", "patience")
"""The arguments of a print alone; all others are those of a sweep."""


def main(argv: Sequence[str] | None = None, program: str = "teststrip print") -> NoReturn:
    """Carry out the command and exit, with the statuses of a sweep (`sweeps.engine.command.main`)."""
    leave(run(list(sys.argv[1:] if argv is None else argv), program))


def run(argv: Sequence[str], program: str = "teststrip print") -> int:
    """As `main`, but return the exit status."""
    console = terminal()
    try:
        given = vars(_parser(program).parse_args(argv))
        part, place, notes = _part(given)
    except REFUSALS as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    except StoreError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    for note in notes:
        aside(console, "yellow")(f"note: {note}")
    status = run_part(part)
    if status or given.get("dry_run"):
        return status
    return _finish(place)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=program,
        description="Train one configuration of a run to a real budget, with checkpoints, and keep its weights.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help=f"the run to choose from: {KINDS}")
    which = parser.add_argument_group("what is printed").add_mutually_exclusive_group()
    which.add_argument("--trial", metavar="ID", help="the configuration of this trial (its first digits suffice)")
    which.add_argument("--front", type=int, metavar="N", help="row N of the front that `teststrip frontier` shows")
    which.add_argument("--knee", action="store_true", help="the configuration at the knee of the front")
    which.add_argument(
        "--best",
        metavar="METRIC",
        help="the best configuration by this metric, confirmed ones first (default: the run's first objective)",
    )
    add = parser.add_argument_group("training").add_argument
    add("--steps", type=int, metavar="N", help="training steps; schedules are laid over them")
    add(
        "--every",
        type=int,
        metavar="N",
        help=f"report and leave a checkpoint every N steps (default: {REPORTS} times in all)",
    )
    add(
        "--patience",
        type=int,
        metavar="K",
        help="end early once the first objective has not improved for K reports, and keep the best weights",
    )
    add("--seeds", type=int, metavar="N", help="train on N fresh seeds (default: 1)")
    add("--data", metavar="SPEC", help="data set to train on (default: the run's)")
    add_running(parser)
    return parser


def _part(given: dict[str, Any]) -> tuple[Part, Location, list[str]]:
    """The print as a sweep with its arguments, where its ledger is, and what the user should know beforehand."""
    resumed = located("--resume", given.get("resume"))
    if resumed is not None:
        if wrong := [name for name in OWN if name in given]:
            names = ", ".join(name if name == "run" else f"--{name}" for name in wrong)
            raise UsageError(f"--resume {resumed} continues a print as it was begun; leave out {names}")
        again = (*_command(), "--resume", resumed)
        return Part(recorded_print(resumed), _words(given), chosen=_command(), again=again), resumed, []
    place = located("--out", given.get("out"))
    if missing := [name for name, value in (("RUN", given.get("run")), ("--steps N", given.get("steps")),
                                            ("--out PRINT", place)) if value is None]:  # fmt: skip
        raise UsageError(f"{' and '.join(missing)} must be given; or continue a print with --resume PRINT")
    assert place is not None
    source = located("RUN", given["run"])
    if source == place or (holds("--out", place, "runs") and not _is_print(place)):
        raise UsageError(f"--out {place} holds a run that is no print; name another place")
    chosen = _choose(given)
    if given.get("every", 1) < 1:
        raise UsageError(f"--every {given['every']} must be a number of steps >= 1")
    sweep = print_sweep(chosen, steps=given["steps"], every=given.get("every"), patience=given.get("patience", 0))
    own = tuple(shell for name in OWN if name in given for shell in _word(name, given[name]))
    part = Part(sweep, _words(given), chosen=(*_command(), *own), again=(*_command(), "--resume", place))
    return part, place, list(advice(chosen, given["steps"]))


def _command() -> tuple[str, ...]:
    """What follows the name of the program on the command line: `teststrip print`, but only `print.py`."""
    return () if Path(sys.argv[0]).name == SCRIPT else (NAME,)


def _is_print(place: Location) -> bool:
    try:
        recorded_print(place)
    except LedgerError:
        return False
    return True


def _choose(given: dict[str, Any]) -> Chosen:
    source = located("RUN", given["run"])
    assert source is not None
    return choose(
        load(source),
        trial=given.get("trial"),
        front=given.get("front"),
        at_knee=given.get("knee", False),
        best=given.get("best"),
    )


def _words(given: dict[str, Any]) -> list[str]:
    """The arguments of a sweep among those given, as they are typed."""
    return [word for name, value in given.items() if name not in OWN for word in _word(name, value)]


def _word(name: str, value: Any) -> list[str]:
    if name == "run":
        return [str(value)]
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    return [word for own in (value if isinstance(value, list) else [value]) for word in (option, str(own))]


def _finish(place: Location) -> int:
    """Write the page of a print and say what it found."""
    console = terminal()
    try:
        found = printed(place)
        data = open_data(_data(found), progress=aside(console))
        said = write_page(place, found, data)
    except (LedgerError, DataError) as error:
        # The training is done, or goes on another time: the command was not refused.
        console.print(f"note: there is no page of this print; {error}", soft_wrap=True)
        return 0
    except OSError as error:
        print(f"{NAME}: the page of the print cannot be written; {error}", file=sys.stderr)
        return 1
    for line in said:
        aside(console, "yellow")(f"note: {line}")
    console.print("\n" + "\n".join(summary(found)), soft_wrap=True)
    console.print(f"\npictures: {place / PICTURES}", soft_wrap=True)
    console.print(f"next:   {analysis_command()} report {shell_words(place)}", soft_wrap=True)
    return 0


def _data(found: Printed) -> str:
    return str(found.endings["run.data_spec"].iloc[-1])
