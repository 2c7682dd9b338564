"""Where and how a sweep is run, resolved from the command line, the run that it resumes, and the machines there are."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from analysis.ledger.location import Location
from analysis.screen import shell_words
from enhance.data import check_spec
from enhance.samples import Photo
from sweeps.engine.cli.arguments import MOST_TOGETHER, Arguments, UsageError, read_arguments
from sweeps.engine.cli.invocations import make_absolute, options_in_effect, recorded_sweep
from sweeps.engine.cli.overrides import override
from sweeps.engine.cli.script import check_code
from sweeps.engine.cli.sources import Sources, holds, located
from sweeps.engine.cluster.resources import ADDRESS, Capacity, cluster_address, runs_folder, this_machine
from sweeps.engine.environment import default_device
from sweeps.engine.sweep import Budget, Sweep

TIMED = ("fit", "estimate", "price_per_hour")
"""Options for which steps are timed before the run."""


@dataclass(frozen=True)
class Options:
    """Where and how a sweep is run; nothing here changes what a trial computes, except `dtype` and `device`.

    `address` is the cluster's, None for this machine, and `told_by` says what named it. An `elastic` run has as many
    workers as the cluster has at any time; `workers` is the number at the start, and with `per_device` "auto" the most
    that there can be. `per_device` trials share a GPU; None: no option says so. `device_asked` may be "auto".
    `accept_change` lists the facts of the run's contract that may differ; `retry` is the ending that is tried again.
    `settings` says what --set changes besides its values. `in_effect` is what the ledger records: the options given and
    taken over. `notes` are sentences for the user about what can no longer be taken over.
    """

    out: Location
    workers: int
    elastic: bool
    address: str | None
    told_by: str
    insecure: bool
    unshared: bool
    per_device: int | Literal["auto"] | None
    device_asked: str
    device: str
    dtype: str
    timeout_s: float | None
    fit_minutes: float | None
    max_minutes: float | None
    max_device_hours: float | None
    warm_start: tuple[Location, ...]
    costs_from: tuple[Location, ...]
    reproducible: bool
    estimate: bool
    price_per_hour: float | None
    samples: int
    photos: tuple[Photo, ...]
    keep_weights: bool
    dry_run: bool
    accept_change: tuple[str, ...]
    retry: str | None
    settings: str
    in_effect: Mapping[str, Any]
    notes: tuple[str, ...]
    command: str


def parse(
    sweep: Sweep,
    argv: Sequence[str],
    command: str,
    cluster: Capacity | None = None,
    *,
    name: str = "",
    like: Location | None = None,
) -> tuple[Sweep, Options]:
    """The sweep as the command line changes it, and how to run it.

    `cluster` is what the cluster has; until that is known (None) this machine stands in for it. `name` is the sweep's
    among several of its script, and `like` the run of another of them, whose options a new run takes over. Raises
    UsageError, ConfigError or SweepError, DataError for data that are not there, UnsuitableData for those that show
    another degradation than the question's.
    """
    typed = read_arguments(sweep, argv)
    # The place as it was typed, since it is printed again; what is recorded are absolute paths.
    out, resumed = _place(typed)
    if resumed is not None and (there := recorded_sweep(resumed)) not in ("", sweep.name):
        raise UsageError(f"--resume {resumed} holds a run of the sweep {there}, and this is {sweep.name}")
    if (minutes := typed.get("fit")) is not None:
        _check_fit(minutes, typed)
    given = make_absolute(typed)
    in_effect = options_in_effect(sweep, resumed or like, given)
    arguments = Arguments(**in_effect)
    address = cluster_address(arguments.address, arguments.workers)
    _check_machines(arguments, address)
    # The first of two calls knows nothing of the cluster yet: it is only there to refuse what is mistyped.
    here = cluster or this_machine(default_device())
    device = here.device if arguments.device == "auto" else arguments.device
    sweep, settings = override(sweep, arguments, device, _dtype(arguments.dtype, device, here), here.cores)
    per_device: int | Literal["auto"] | None = None
    # Which device a cluster has is not known before it is joined.
    if device == arguments.device or cluster is not None or address is None:
        sweep.check_device(device)
        per_device = _per_device(arguments, device)
    # Only now is it known which data: --data may have replaced the sweep's own.
    sweep.check_kind()
    check_spec(sweep.data)
    sources = Sources(arguments, given, name)
    return sweep, Options(
        out=out or fresh_folder(sweep.name),
        workers=min(_workers(arguments.workers, per_device, here, fixed=address is None), _most_at_once(sweep.budget)),
        elastic=address is not None and arguments.workers is None,
        address=address,
        told_by="--address" if arguments.address else ADDRESS,
        insecure=arguments.insecure,
        unshared=arguments.unshared,
        per_device=per_device,
        device_asked=arguments.device,
        device=device,
        dtype=str(sweep.fixed.get("train.dtype", "searched")),
        timeout_s=arguments.timeout or None,
        fit_minutes=arguments.fit,
        max_minutes=arguments.max_minutes,
        max_device_hours=arguments.max_device_hours,
        warm_start=sources.warm_start(),
        costs_from=sources.costs_from(sweep),
        reproducible=arguments.reproducible,
        estimate=arguments.estimate or arguments.price_per_hour is not None,
        price_per_hour=arguments.price_per_hour,
        samples=arguments.samples,
        photos=sources.photos(),
        keep_weights=arguments.keep_weights,
        dry_run=arguments.dry_run,
        accept_change=tuple(arguments.accept_change),
        retry=_retry(arguments),
        settings=settings,
        in_effect=in_effect,
        notes=tuple(sources.notes),
        command=command,
    )


def _place(given: Mapping[str, Any]) -> tuple[Location | None, Location | None]:
    """Where the ledger lies (None: a new folder), and the run that is resumed (None: none)."""
    out, resumed = (located(f"--{name}", given.get(name)) for name in ("out", "resume"))
    if resumed is None:
        return out, None
    if out is not None and resumed != out:
        raise UsageError(f"--resume {resumed} and --out {out} name two runs; give one of them")
    if not holds("--resume", resumed, "runs"):
        raise UsageError(f"--resume {resumed}: no run there; start one with --out {shell_words(resumed)}")
    return resumed, resumed


def _check_machines(arguments: Arguments, address: str | None) -> None:
    """Raise UsageError if the options contradict each other, or the machine, about where to run."""
    if arguments.expect_code is not None:
        check_code(arguments.expect_code)
    if arguments.device == "cuda" and address is None and default_device() != "cuda":
        raise UsageError("--device cuda: this machine has no NVIDIA GPU; choose cpu, or a cluster with --address")
    if arguments.workers == 0 and address:
        raise UsageError("--workers 0 runs in this process and --address on a cluster; give one of them")
    if address and (timed := [name for name in TIMED if getattr(arguments, name) not in (None, False)]):
        options = " and ".join(f"--{name.replace('_', '-')}" for name in timed)
        raise UsageError(f"{options}: steps are timed on this machine, not on a cluster; add --address local")
    for option in ("insecure", "unshared"):
        if getattr(arguments, option) and address is None:
            raise UsageError(f"--{option} needs a cluster, and this run has none; name one with --address")


def _check_fit(minutes: float, given: Mapping[str, Any]) -> None:
    """Raise UsageError if an option among those `given` says what --fit would choose, or cannot be timed here."""
    if minutes <= 0:
        raise UsageError(f"--fit {minutes:g} must be a number of minutes > 0")
    if named := [f"--{name}" for name in ("trials", "steps") if name in given]:
        raise UsageError(f"--fit chooses the number of trials and steps: leave out {' and '.join(named)}, or --fit")
    if "resume" in given:
        raise UsageError("--fit chooses the size of a new run, and --resume keeps that of an old one; give one of them")


def _per_device(arguments: Arguments, device: str) -> int | Literal["auto"] | None:
    """How many trials share a GPU; None if the device is a CPU. Raises UsageError if none can."""
    asked = arguments.per_device
    shares = isinstance(asked, int) and asked > 1
    if shares and device != "cuda":
        raise UsageError(
            f"--per-device {asked}: this run trains on CPUs, where --workers says how many trials train at once"
        )
    if shares and arguments.workers == 0:
        raise UsageError(f"--per-device {asked}: --workers 0 trains one trial at a time; leave it out")
    if asked is None or device != "cuda":
        return None
    return asked if isinstance(asked, int) else "auto"


def _workers(asked: int | None, per_device: int | Literal["auto"] | None, here: Capacity, *, fixed: bool) -> int:
    """How many trials train at a time. With "auto", how many there can be before it has been measured.

    `fixed`: no machine can join, so that more than there is room for would wait forever.
    """
    if per_device is None:
        return here.workers if asked is None else asked
    room = here.places(MOST_TOGETHER if per_device == "auto" else per_device)
    if asked is None:
        return room or here.workers
    return min(asked, room) if fixed and room else asked


def _most_at_once(budget: Budget) -> int:
    """How many trials can run at a time: further workers would start only to wait."""
    # The confirmation begins when the search has ended, so the two do not add up.
    return max(budget.trials * budget.seeds, budget.confirm * budget.confirm_seeds)


def _retry(arguments: Arguments) -> str | None:
    """Which trials are tried again. Raises UsageError for a run that cannot."""
    if arguments.retry and arguments.reproducible:
        raise UsageError(
            f"--retry {arguments.retry}: a --reproducible run repeats its earlier decisions, which knew of the "
            "failures; start another run with a new --out"
        )
    return arguments.retry


def _dtype(asked: str, device: str, here: Capacity) -> str:
    if asked != "auto":
        return asked
    return "bf16" if device == "cuda" or here.bf16 else "fp32"


def fresh_folder(name: str) -> Location:
    """Where a run goes if no option says so: a new folder with this name, the time and random digits in its own.

    Raises UsageError.
    """
    # The time alone would give two jobs of an array the same folder, and the second would be refused.
    runs = located("TESTSTRIP_RUNS:", runs_folder())
    assert runs is not None
    return runs / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
