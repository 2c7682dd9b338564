"""The arguments of every sweep's command line: their names, types, defaults and help."""

import argparse
import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from analysis.ledger.location import KINDS
from enhance.samples import PHOTO_PX
from sweeps.engine.cluster.resources import ADDRESS
from sweeps.engine.rungs import RULES
from sweeps.engine.samplers import SAMPLERS
from sweeps.engine.sweep import Sweep

SCALES = ("demo", "smoke", "full")

ACCEPTABLE = ("code",)
"""What may differ between two invocations of one run, if the user says so. Every other fact of a run's contract
decides which trials are comparable at all, and has no override."""

MOST_S = 366 * 24 * 3600.0
"""The longest wait, a year: anything longer is a typing error, and would overflow the system's timers."""

MOST_COUNT = 1_000_000
"""The largest number of workers or samples."""


AUTO = "auto"

MOST_TOGETHER = 64
"""The largest number of trials on one GPU."""


class UsageError(ValueError):
    """A command line that cannot be carried out."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """A value for every option; the defaults are those of the command line. None: the sweep or the machine decides.

    `budget` is one of SCALES, `fit` is in minutes and `timeout` in seconds. `set` and `sampler_option` hold texts
    NAME=VALUE.
    """

    data: str | None = None
    sampler: str | None = None
    sampler_option: Sequence[str] = ()
    stopping: str | None = None
    set: Sequence[str] = ()
    warm_start: Sequence[str] = ()
    costs_from: Sequence[str] = ()
    reproducible: bool = False
    budget: str = "demo"
    trials: int | None = None
    steps: int | None = None
    fit: float | None = None
    seeds: int | None = None
    confirm: int | None = None
    confirm_seeds: int | None = None
    audit_share: float | None = None
    timeout: float = 600.0
    max_minutes: float | None = None
    max_device_hours: float | None = None
    out: str | None = None
    resume: str | None = None
    accept_change: Sequence[str] = ()
    retry: str | None = None
    samples: int = 4
    photo: Sequence[str] = ()
    keep_weights: bool = False
    workers: int | None = None
    per_device: int | str | None = None
    device: str = "auto"
    dtype: str = "auto"
    address: str | None = None
    insecure: bool = False
    unshared: bool = False
    expect_code: str | None = None
    dry_run: bool = False
    estimate: bool = False
    price_per_hour: float | None = None


def read_arguments(sweep: Sweep, argv: Sequence[str]) -> dict[str, Any]:
    """The arguments in `argv`, by the names of `Arguments`; without those that were not given. Raises UsageError."""
    given = vars(_parser(sweep).parse_args(argv))
    # --smoke becomes a budget here, unless another one was given.
    if given.pop("smoke", False) and given.setdefault("budget", "smoke") != "smoke":
        raise UsageError(f"--smoke and --budget {given['budget']} name two scales; give one of them")
    return given


class ArgumentParser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, and suggests what was meant."""

    def error(self, message: str) -> NoReturn:
        # The option is known, and its value is wrong.
        if message.startswith("argument "):
            raise UsageError(message)
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        wrong = [word for word in message.split() if word.startswith("-")]
        near = [match for word in wrong for match in difflib.get_close_matches(word.split("=")[0], known, n=2)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"the options are {', '.join(known)}"
        raise UsageError(f"{message}; {hint}")


def _parser(sweep: Sweep) -> argparse.ArgumentParser:
    # No abbreviations: a command in a script would change its meaning with the next option of that beginning. An
    # argument that was not given is absent, so that --resume can tell it from one that repeats the default.
    parser = ArgumentParser(description=sweep.question, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    _add_search(parser, sweep)
    _add_budget(parser, sweep)
    _add_ledger(parser)
    _add_machines(parser)
    _add_preview(parser)
    return parser


def _add_search(parser: argparse.ArgumentParser, sweep: Sweep) -> None:
    add = parser.add_argument_group("search").add_argument
    add(
        "--data",
        metavar="SPEC",
        help=f"data set to train on; `teststrip data` lists the kinds (default: {_escaped(sweep.data)})",
    )
    add("--sampler", help=f"one of {', '.join(SAMPLERS)} (default: {sweep.sampler})")
    add("--sampler-option", action="append", metavar="NAME=VALUE", help="option of the sampler; repeatable")
    add("--stopping", help=f"rule that stops trials early: one of {', '.join(RULES)} (default: {sweep.stopping})")
    add(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="fix a configuration parameter, whether the sweep searches it or not; repeatable",
    )
    add(
        "--warm-start",
        action="append",
        metavar="RUN",
        help="let the sampler learn from the trials of an earlier run; repeatable",
    )
    add(
        "--costs-from",
        action="append",
        metavar="RUN",
        help="reuse the latencies that another run measured with the same code on the same device; repeatable",
    )
    add(
        "--reproducible",
        action="store_true",
        help="make the same command produce the same trials, however many workers run them",
    )


def add_running(parser: argparse.ArgumentParser) -> None:
    """Add the options on where and for how long anything is trained, which a print shares with a sweep."""
    _add_limits(parser.add_argument_group("limits").add_argument)
    _add_ledger(parser)
    _add_machines(parser)
    _add_preview(parser)


def _add_budget(parser: argparse.ArgumentParser, sweep: Sweep) -> None:
    add = parser.add_argument_group("budget").add_argument
    budget = sweep.budget
    add(
        "--budget",
        choices=SCALES,
        help="scale of the run: demo fits a laptop, full is the papers' scale and needs GPUs, smoke only checks that "
        "everything works (default: demo)",
    )
    add("--smoke", action="store_true", help="short for --budget smoke")
    add("--trials", type=int, metavar="N", help=f"number of configurations to try (default: {budget.trials})")
    add("--steps", type=int, metavar="N", help=f"training steps of a full trial (default: {budget.steps})")
    add(
        "--fit",
        type=_amount,
        metavar="M",
        help="time a few steps first, and choose as many trials and steps as should end within M minutes",
    )
    add("--seeds", type=int, metavar="N", help=f"seeds per configuration (default: {budget.seeds})")
    add(
        "--confirm",
        type=int,
        metavar="N",
        help=f"retrain the N best configurations on fresh seeds at the end (default: {budget.confirm})",
    )
    add(
        "--confirm-seeds",
        type=int,
        metavar="N",
        help=f"fresh seeds per confirmed configuration (default: {budget.confirm_seeds})",
    )
    add(
        "--audit-share",
        type=float,
        metavar="F",
        help="fraction of the trials due to be stopped that are trained to the end, to measure what stopping costs "
        f"(default: {budget.audit_share:g})",
    )
    _add_limits(add)


def _add_limits(add: Callable[..., object]) -> None:
    add(
        "--timeout",
        type=_seconds,
        metavar="S",
        help="fail a trial after S seconds without progress; 0: never (default: 600)",
    )
    add("--max-minutes", type=_amount, metavar="M", help="start no more trials after M minutes; continue with --resume")
    add(
        "--max-device-hours",
        type=_amount,
        metavar="H",
        help="start no more trials after H hours of training and evaluation, summed over workers",
    )


def _add_ledger(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("ledger").add_argument
    add(
        "--out",
        metavar="RUN",
        help=f"where to write the ledger: {KINDS}; a run that is already there is continued (default: a new folder in "
        "runs/)",
    )
    add(
        "--resume",
        metavar="RUN",
        help="continue an existing run with the options of its latest invocation; options given here override them",
    )
    add(
        "--accept-change",
        action="append",
        choices=ACCEPTABLE,
        help="continue a run although this has changed since: code, the code in enhance/. Finished trials are kept, "
        "unfinished ones start over, and the ledger records the change",
    )
    add(
        "--retry",
        choices=("failed",),
        help="train these trials of the run again: failed ones, which ran out of memory, hung or lost their worker",
    )
    add(
        "--samples",
        type=_count,
        metavar="N",
        help="save the outputs of completed trials: N validation patches, the same for every trial, and each trial's "
        "best and worst; 0: none (default: 4)",
    )
    add(
        "--photo",
        action="append",
        metavar="FILE",
        help=f"also save how the confirmed networks (if none, all) enhance this photograph, scaled to {PHOTO_PX} px; "
        "repeatable",
    )
    add(
        "--keep-weights",
        action="store_true",
        help="save the trained network of every completed trial, not only of the confirmed ones",
    )


def _add_machines(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("machines").add_argument
    add(
        "--workers",
        type=_count,
        metavar="N",
        help="number of trials to train at once; 0: one at a time in this process, without Ray (default: one per core, "
        "on a cluster one per core or GPU)",
    )
    add(
        "--per-device",
        type=_together,
        metavar="N",
        help="number of trials to train at once on each GPU, or auto: as many as fit and take the most steps per "
        "second in a short measurement (default: on a cluster 1, on this machine as many as --workers needs)",
    )
    add("--device", choices=("auto", "cpu", "cuda"), help="device to train on (default: auto)")
    add(
        "--dtype",
        choices=("auto", "fp32", "bf16"),
        help="precision of training; auto: bf16 where the hardware supports it (default: auto)",
    )
    add(
        "--address",
        metavar="A",
        help="Ray cluster to run on: HOST:PORT, auto (the cluster that this machine belongs to) or local (start Ray on "
        f"this machine) (default: ${ADDRESS} if set, else local)",
    )
    add("--insecure", action="store_true", help="join an unauthenticated cluster")
    add(
        "--unshared",
        action="store_true",
        help="allow a ledger in a folder that the other machines of the cluster cannot see",
    )
    add(
        "--expect-code",
        metavar="HASH",
        help="refuse to run unless the code in enhance/ has this hash (--dry-run prints it)",
    )


def _add_preview(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("preview").add_argument
    add("--dry-run", action="store_true", help="print the plan and exit")
    add("--estimate", action="store_true", help="time a few training steps first, and print what the run will cost")
    add(
        "--price-per-hour",
        type=_amount,
        metavar="P",
        help="price of a device per hour; adds money to the estimate and implies --estimate",
    )


def _escaped(text: str) -> str:
    """A text of the sweep's author, for a help that argparse formats with %."""
    return text.replace("%", "%%")


def _count(text: str) -> int:
    # `isdecimal` rather than `int` alone, which accepts "-1", " 1" and "1_000".
    if not text.isdecimal() or int(text) > MOST_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 0 and <= {MOST_COUNT:,}")
    return int(text)


def _together(text: str) -> int | str:
    if text != AUTO and not (text.isdecimal() and 1 <= int(text) <= MOST_TOGETHER):
        raise argparse.ArgumentTypeError(f"{text!r} must be auto or a whole number from 1 to {MOST_TOGETHER}")
    return AUTO if text == AUTO else int(text)


def _amount(text: str) -> float:
    """A number >= 0. Infinity and nan would be limits that no run ever reaches."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number >= 0")
    return value


def _seconds(text: str) -> float:
    value = _amount(text)
    if value > MOST_S:
        raise argparse.ArgumentTypeError(f"{text!r} must be at most {MOST_S:.0f} s, a year; 0 is no limit")
    return value
