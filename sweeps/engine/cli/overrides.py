"""The sweep as the command line changes it: its data, budget and search, what is fixed, and what is measured."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from enhance.config import Scalar
from enhance.config.files import pin_digest
from sweeps.engine.cli.arguments import Arguments, UsageError
from sweeps.engine.cli.settings import apply_settings
from sweeps.engine.space import Choice, Range, When, inner
from sweeps.engine.sweep import Sweep

BUDGET = ("trials", "steps", "seeds", "confirm", "confirm_seeds", "audit_share")

SMOKE_COST: Mapping[str, Any] = {"width_px": 160, "height_px": 96, "min_rounds": 3, "max_s": 1.0}
"""A smoke run times a small image, briefly: its latencies show that measuring works, and nothing else."""


def override(sweep: Sweep, arguments: Arguments, device: str, dtype: str, cores: int) -> tuple[Sweep, str]:
    """The sweep with everything that the arguments change, and what --set changes besides its values, in words.

    `cores` is how many threads a latency is measured with. Raises UsageError, ConfigError or SweepError.
    """
    # In this order: --set applies to what the chosen scale fixes, the dtype is fixed only where --set has not done so,
    # and files are pinned last, wherever they were named.
    sweep, said = apply_settings(sweep.at(arguments.budget), arguments.set)
    sweep = _fix_dtype(sweep, arguments.dtype, dtype)
    sweep = _change_search(sweep, arguments)
    if sweep.cost is not None:
        sweep = _change_cost(sweep, arguments, device, cores)
    return _pin_files(sweep), said


def _fix_dtype(sweep: Sweep, asked: str, dtype: str) -> Sweep:
    """Fix train.dtype, unless the sweep does so itself or searches it."""
    if "train.dtype" not in sweep.fixed and "train.dtype" not in sweep.space:
        return dataclasses.replace(sweep, fixed={**sweep.fixed, "train.dtype": dtype})
    if asked != "auto":
        raise UsageError(f"--dtype {asked}: the sweep {sweep.name} sets train.dtype itself")
    return sweep


def _change_search(sweep: Sweep, arguments: Arguments) -> Sweep:
    """Change data, budget, sampler and stopping rule. A sampler replaces the sweep's design and sampler options."""
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


def _plain(text: str) -> Scalar:
    """The value that a text spells: true or false, a number, or a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    # int first: read as a float, 8 would not pass for a whole number.
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _change_cost(sweep: Sweep, arguments: Arguments, device: str, cores: int) -> Sweep:
    """Measure latency on the device, with every core: nothing else runs meanwhile."""
    assert sweep.cost is not None
    if arguments.reproducible:
        raise UsageError(f"--reproducible: the sweep {sweep.name} measures latency, which is never the same twice")
    smoke = SMOKE_COST if arguments.budget == "smoke" else {}
    return dataclasses.replace(sweep, cost=dataclasses.replace(sweep.cost, device=device, threads=cores, **smoke))


def _pin_files(sweep: Sweep) -> Sweep:
    """Name every file of weights by its content too: a trial's identity must not depend on a path alone."""

    def pin(name: str, value: Scalar) -> Scalar:
        try:
            return pin_digest(value) if isinstance(value, str) else value
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
