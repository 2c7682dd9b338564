"""The command line of every sweep, and what it makes of a sweep. Whatever is mistyped is refused with the choices."""

import argparse
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from analysis.ledger.files import table_files
from analysis.ledger.location import KINDS, Location, LocationError, StoreError, locate
from enhance.config import VARIANTS, Domain, Scalar, domains, unknown_leaf
from enhance.config.files import pinned
from enhance.data import check_spec
from enhance.data.pictures import PictureError
from enhance.samples import PHOTO_PX, Photo, read_photo
from sweeps.engine.cli.script import check_code
from sweeps.engine.cluster.resources import ADDRESS, Capacity, cluster_address, runs_folder, this_machine
from sweeps.engine.environment import default_device
from sweeps.engine.rungs import RULES
from sweeps.engine.samplers import SAMPLERS
from sweeps.engine.space import Choice, Range, When, inner, without
from sweeps.engine.sweep import Sweep

SCALES = ("demo", "smoke", "full")
SMOKE_COST: Mapping[str, Any] = {"width_px": 160, "height_px": 96, "min_rounds": 3, "max_s": 1.0}
BUDGET = ("trials", "steps", "seeds", "confirm", "confirm_seeds", "audit_share")


class UsageError(ValueError):
    """A command line that cannot be carried out."""


@dataclass(frozen=True)
class Options:
    """Where and how a sweep is run; nothing here changes what a trial computes, except `dtype` and `device`.

    `address` is the cluster's, None for this machine, and `told_by` what has named it. Where `elastic`, there are as
    many workers as the cluster has at any time, `workers` at the start. `device_asked` may be "auto".
    """

    out: Location
    workers: int
    elastic: bool
    address: str | None
    told_by: str
    insecure: bool
    unshared: bool
    device_asked: str
    device: str
    dtype: str
    timeout_s: float | None
    max_minutes: float | None
    max_device_hours: float | None
    warm_start: tuple[Location, ...]
    costs_from: tuple[Location, ...]
    reproducible: bool
    estimate: bool
    price_per_hour: float | None
    samples: int
    photos: tuple[Photo, ...]
    dry_run: bool
    command: str


def parse(sweep: Sweep, argv: Sequence[str], command: str, cluster: Capacity | None = None) -> tuple[Sweep, Options]:
    """The sweep as the command line changes it, and how to run it. Raises UsageError, ConfigError or SweepError.

    `cluster` is what the cluster has, None as long as that is not known: then this machine stands for it.
    """
    parser = _parser(sweep)
    arguments = parser.parse_args(argv)
    sweep = sweep.at("smoke" if arguments.smoke else arguments.budget)
    for setting in arguments.set:
        sweep = _fix(sweep, setting)
    address = cluster_address(arguments.address, arguments.workers)
    _check_place(arguments, address)
    here = cluster or this_machine(default_device())
    device = here.device if arguments.device == "auto" else arguments.device
    dtype = _dtype(arguments.dtype, device, here)
    if "train.dtype" not in sweep.fixed and "train.dtype" not in sweep.space:
        sweep = dataclasses.replace(sweep, fixed={**sweep.fixed, "train.dtype": dtype})
    elif arguments.dtype != "auto":
        raise UsageError(f"--dtype {arguments.dtype}: the sweep {sweep.name} sets train.dtype itself")
    sweep = _searched(sweep, arguments)
    out, resumed = located("--out", arguments.out), located("--resume", arguments.resume)
    if resumed is not None and out is not None and resumed != out:
        raise UsageError(f"--resume {resumed} and --out {out} name two runs; give one of them")
    if resumed is not None and not _holds("--resume", resumed, "runs"):
        raise UsageError(f"--resume {resumed}: no run there; start one with --out {resumed}")
    if sweep.cost is not None:
        sweep = _measured(sweep, arguments, device, here.cores)
    sweep = _pin_files(sweep)
    check_spec(sweep.data)
    return sweep, Options(
        out=resumed or out or _fresh_folder(sweep.name),
        workers=here.workers if arguments.workers is None else arguments.workers,
        elastic=address is not None and arguments.workers is None,
        address=address,
        told_by="--address" if arguments.address else ADDRESS,
        insecure=arguments.insecure,
        unshared=arguments.unshared,
        device_asked=arguments.device,
        device=device,
        dtype=str(sweep.fixed.get("train.dtype", "searched")),
        timeout_s=arguments.timeout or None,
        max_minutes=arguments.max_minutes,
        max_device_hours=arguments.max_device_hours,
        warm_start=tuple(run for text in arguments.warm_start if (run := located("--warm-start", text))),
        costs_from=_cost_runs(sweep, arguments.costs_from),
        reproducible=arguments.reproducible,
        estimate=arguments.estimate or arguments.price_per_hour is not None,
        price_per_hour=arguments.price_per_hour,
        samples=arguments.samples,
        photos=tuple(dict.fromkeys(map(_photo, arguments.photo))),
        dry_run=arguments.dry_run,
        command=command,
    )


def _check_place(arguments: argparse.Namespace, address: str | None) -> None:
    """Raises UsageError where the options contradict where the sweep is to run."""
    if arguments.expect_code is not None:
        check_code(arguments.expect_code)
    if arguments.device == "cuda" and address is None and default_device() != "cuda":
        raise UsageError("--device cuda: this machine has no NVIDIA GPU; choose cpu, or a cluster with --address")
    if arguments.workers == 0 and address:
        raise UsageError("--workers 0 runs in this process and --address on a cluster; give one of them")
    if address and (arguments.estimate or arguments.price_per_hour is not None):
        raise UsageError("--estimate and --price-per-hour measure this machine, not a cluster's; say --address local")
    for option in ("insecure", "unshared"):
        if getattr(arguments, option) and address is None:
            raise UsageError(f"--{option} is about a cluster, and none is joined; name one with --address")


def resumed_run(argv: Sequence[str]) -> Location | None:
    """The run that --resume names on the command line, before anything else of it is looked at. Raises UsageError."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--resume")
    try:
        address: str | None = finder.parse_known_args(argv)[0].resume
    except argparse.ArgumentError:  # --resume without a run: the full parser says so
        return None
    return located("--resume", address)


def located(option: str, address: str | None) -> Location | None:
    """The location that an option names. Raises UsageError."""
    try:
        return None if address is None else locate(address)
    except (LocationError, StoreError) as error:
        raise UsageError(f"{option} {error}") from None


def _holds(option: str, run: Location, table: str) -> bool:
    """Whether there is anything of a table in the run that an option names. Raises UsageError."""
    try:
        return bool(table_files(run, table))
    except StoreError as error:
        raise UsageError(f"{option} {error}") from None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        wrong = [word for word in message.split() if word.startswith("-")]
        near = [match for word in wrong for match in difflib.get_close_matches(word.split("=")[0], known, n=2)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"the options are {', '.join(known)}"
        raise UsageError(f"{message}; {hint}")


def _parser(sweep: Sweep) -> argparse.ArgumentParser:
    parser = _Parser(description=sweep.question, allow_abbrev=False)
    add = parser.add_argument
    add(
        "--data",
        metavar="SPEC",
        help=f"what to train on; `python -m enhance.data` lists the kinds (default: {sweep.data})",
    )
    add("--trials", type=int, help=f"configurations to try (default: {sweep.budget.trials})")
    add("--steps", type=int, help=f"full budget of a trial, in training steps (default: {sweep.budget.steps})")
    add("--seeds", type=int, help=f"paired seeds per configuration (default: {sweep.budget.seeds})")
    add("--confirm", type=int, help=f"best configurations to confirm afterwards (default: {sweep.budget.confirm})")
    add("--confirm-seeds", type=int, help=f"fresh seeds for each of them (default: {sweep.budget.confirm_seeds})")
    add("--audit-share", type=float, help=f"share spared at the rungs (default: {sweep.budget.audit_share:g})")
    add("--sampler", help=f"one of {', '.join(SAMPLERS)} (default: {sweep.sampler})")
    add("--sampler-option", action="append", default=[], metavar="NAME=VALUE", help="an option of the sampler")
    add("--stopping", help=f"one of {', '.join(RULES)} (default: {sweep.stopping})")
    add("--warm-start", action="append", default=[], metavar="RUN", help="tell the sampler of an earlier run")
    add(
        "--costs-from",
        action="append",
        default=[],
        metavar="RUN",
        help="take over what that run has measured, undisturbed, on the same device with the same code",
    )
    add("--reproducible", action="store_true", help="the same command gives the same trials, however many workers")
    add(
        "--workers",
        type=_count,
        help="trials at a time; 0: in this process, without Ray (default: a trial per core; on a cluster as many as it "
        "has cores, or GPUs)",
    )
    add("--out", metavar="RUN", help=f"where the ledger lies: {KINDS}; what holds this run already is continued")
    add("--resume", metavar="RUN", help="as --out, but the run must exist")
    add(
        "--address",
        metavar="A",
        help=f"Ray cluster to run on: HOST:PORT, auto (the one that this machine is of) or local (none: Ray is started "
        f"on this machine); default: ${ADDRESS}, else local",
    )
    add("--insecure", action="store_true", help="join a cluster that anybody who can reach it can command")
    add("--unshared", action="store_true", help="allow a --out that the cluster's other machines do not see")
    add("--expect-code", metavar="HASH", help="refuse to run if the code of enhance/ is not this one (see --dry-run)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--dtype", choices=("auto", "fp32", "bf16"), default="auto", help="training step; auto: bf16 where it is fast")
    add("--timeout", type=float, default=600.0, metavar="S", help="a trial without progress for so long ends; 0: never")
    add("--max-minutes", type=float, help="give out nothing more after so long; the run can be continued")
    add("--max-device-hours", type=float, help="give out nothing more after so much training and evaluation")
    add("--estimate", action="store_true", help="measure some steps first, and say what the run will cost")
    add("--price-per-hour", type=float, metavar="P", help="of a device; with it the estimate is in money too")
    add(
        "--samples",
        type=_count,
        default=4,
        metavar="N",
        help="keep pictures of trials that complete: N validation patches, the same for all, and each one's best and "
        "worst; 0: none (default: 4)",
    )
    add(
        "--photo",
        action="append",
        default=[],
        type=Path,
        help=f"show a whole photograph, shrunk to {PHOTO_PX} px, to what is confirmed; may be given several times",
    )
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="fix a configuration leaf, searched or not")
    add("--budget", choices=SCALES, default="demo", help="full: the papers' scale, for GPUs; smoke: the smallest")
    add("--smoke", action="store_true", help="the same as --budget smoke")
    add("--dry-run", action="store_true", help="print the plan and compute nothing")
    return parser


def _searched(sweep: Sweep, arguments: argparse.Namespace) -> Sweep:
    """The sweep with the data, the budget and the way of searching that the command line asks for."""
    budget = {name: value for name in BUDGET if (value := getattr(arguments, name)) is not None}
    ways = {name: value for name in ("data", "sampler", "stopping") if (value := getattr(arguments, name)) is not None}
    if "sampler" in ways and sweep.design is not None:
        ways["design"] = None
    options = {} if "sampler" in ways else dict(sweep.sampler_options)
    for setting in arguments.sampler_option:
        name, found, text = setting.partition("=")
        if not found:
            raise UsageError(f"--sampler-option {setting}: write NAME=VALUE")
        options[name] = _plain(text)
    return dataclasses.replace(sweep.with_budget(**budget), **ways, sampler_options=options)


def _measured(sweep: Sweep, arguments: argparse.Namespace, device: str, cores: int) -> Sweep:
    """The sweep with its costs measured on the device, with every core; a smoke run's on a small image."""
    assert sweep.cost is not None
    if arguments.reproducible:
        raise UsageError("--reproducible: what is measured is never the same twice, and this sweep measures latency")
    cost = dataclasses.replace(sweep.cost, device=device, threads=cores)
    if arguments.smoke or arguments.budget == "smoke":
        cost = dataclasses.replace(cost, **SMOKE_COST)
    return dataclasses.replace(sweep, cost=cost)


def _cost_runs(sweep: Sweep, addresses: Sequence[str]) -> tuple[Location, ...]:
    if addresses and sweep.cost is None:
        raise UsageError(f"--costs-from {addresses[0]}: the sweep {sweep.name} measures no costs; leave it out")
    runs = [run for text in addresses if (run := located("--costs-from", text))]
    for run in runs:
        if not _holds("--costs-from", run, "costs"):
            raise UsageError(f"--costs-from {run}: no network was measured there (there is no {run / 'costs'})")
    return tuple(runs)


def _plain(text: str) -> Scalar:
    """A value as it is written: true or false, a number, or a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fix(sweep: Sweep, setting: str) -> Sweep:
    """The sweep with one leaf fixed; a leaf of the space leaves it, and so does what is searched only beside others."""
    name, found, text = setting.partition("=")
    if not found:
        raise UsageError(f"--set {setting}: write NAME=VALUE, for example --set net.channels=32")
    known = domains({key: sweep.fixed[key] for key in VARIANTS if key in sweep.fixed})
    if name not in known:
        raise UsageError(f"--set {setting}: {unknown_leaf(name, known)}")
    value = _value(name, text, known[name])
    space = without(sweep.space, name, value)
    enqueue = {label: {n: v for n, v in values.items() if n in space} for label, values in sweep.enqueue.items()}
    return dataclasses.replace(sweep, fixed={**sweep.fixed, name: value}, space=space, enqueue=enqueue)


def _pin_files(sweep: Sweep) -> Sweep:
    """The sweep with every file of weights named by its content as well: a trial's identity must not be a path's."""

    def pin(name: str, value: Scalar) -> Scalar:
        try:
            return pinned(value) if isinstance(value, str) else value
        except OSError as error:
            raise UsageError(f"{name}={value}: {error.strerror}") from None

    def pin_all(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {name: pin(name, value) for name, value in values.items()}

    def pin_entry(name: str, entry: Range | When) -> Range | When:
        own = inner(entry)
        if isinstance(own, Choice):
            own = Choice(*(pin(name, value) for value in own.values))
        return dataclasses.replace(entry, range=own) if isinstance(entry, When) else own

    space = {name: pin_entry(name, entry) for name, entry in sweep.space.items()}
    enqueue = {label: pin_all(values) for label, values in sweep.enqueue.items()}
    return dataclasses.replace(sweep, fixed=pin_all(sweep.fixed), space=space, enqueue=enqueue)


def _value(name: str, text: str, domain: Domain) -> Scalar:
    value = domain.parse(text)
    problem = domain.problem(name, value)
    if problem:
        raise UsageError(f"--set {name}={text}: {problem}")
    return value


def _photo(path: Path) -> Photo:
    try:
        return read_photo(path)
    except PictureError as error:
        raise UsageError(f"--photo {path}: {error}; give a JPEG or PNG in color") from None


def _dtype(asked: str, device: str, here: Capacity) -> str:
    if asked != "auto":
        return asked
    return "bf16" if device == "cuda" or here.bf16 else "fp32"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 0")
    return int(text)


def _fresh_folder(name: str) -> Location:
    runs = located("TESTSTRIP_RUNS:", runs_folder())
    assert runs is not None
    return runs / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
