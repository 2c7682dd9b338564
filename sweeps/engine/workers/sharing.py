"""How many trials share a GPU (`--per-device auto`): what fits into its memory, then what measures best.

Which numbers are tried and when to stop is decided here; `device_probe.py` measures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from enhance.config import Config, Scalar, conflicts, digest
from sweeps.engine.space import corner_points, inner
from sweeps.engine.sweep import Sweep

TRIED = (1, 2, 3, 4, 6, 8, 12, 16)
"""The numbers of trials that are tried together."""

MEMORY_SHARE = 0.9
"""Trials together may need this share of the memory that is free: allocators keep gaps that nothing fits into."""

GAIN = 1.03
"""More trials must be this much faster together: less may be noise, and each takes memory and a core."""

GIB = 1 << 30


@dataclass(frozen=True)
class Needs:
    """What one trial of the largest configuration needs of a GPU.

    `bytes`: its process's memory at its peak, of `free_bytes`. `busy`: the share of a step's time, in (0, 1], in which
    the GPU computes.
    """

    bytes: int
    free_bytes: int
    busy: float


class Probe(Protocol):
    """Measures on a GPU that nothing else uses."""

    def needs(self) -> Needs:
        """The needs of one trial."""
        ...

    def steps_per_s(self, together: int) -> float | None:
        """Training steps per second of so many trials at once, all taken together; None if memory ran out."""
        ...


@dataclass(frozen=True)
class Sharing:
    """How many trials share a GPU, and why, in a sentence."""

    together: int
    why: str


def measured(probe: Probe, most: int) -> Sharing:
    """The number of trials, at most `most`, that take the most steps per second together.

    Tries more and more, and stops at the first number that is not faster than a smaller one.
    """
    needs = probe.needs()
    fits = max(1, int(MEMORY_SHARE * needs.free_bytes / needs.bytes))
    # Beyond that the GPU would be busy all the time, so that further trials could only wait for each other.
    useful = int(1 / needs.busy) + 1
    rates: dict[int, float] = {}
    for together in (number for number in TRIED if number <= min(fits, useful, most)):
        rate = probe.steps_per_s(together)
        if rate is None or (rates and rate < GAIN * max(rates.values())):
            break
        rates[together] = rate
    best = max(rates, key=rates.__getitem__, default=1)
    steps = ", ".join(f"{number}: {rate:.3g}" for number, rate in rates.items())
    return Sharing(
        best,
        f"{best} at a time on a GPU; the largest needs {needs.bytes / GIB:.2g} GiB of {needs.free_bytes / GIB:.3g} and "
        f"keeps the GPU busy for {needs.busy:.0%} of a step; steps per second by trials at a time: {steps or 'none'}",
    )


def fewer(together: int) -> int:
    """How many trials share a GPU after its memory has run out: half, so that few attempts lead to one that fits."""
    return max(1, together // 2)


def large_configurations(sweep: Sweep) -> list[Config]:
    """Configurations of which one needs the most memory in `sweep`: numbers at their upper ends, and each word in turn.

    Those that cannot be trained are left out, and none is watched for divergence: only its steps are timed.
    """
    unwatched = {"guard.window_steps": 1_000_000, "guard.collapse": 0.0}
    # A dictionary, since several corners differ only in numbers.
    found = {digest(own): own for point in _large_points(sweep) for own in [sweep.config({**point, **unwatched})]}
    return [config for config in found.values() if not conflicts(config)]


def _large_points(sweep: Sweep) -> Iterator[dict[str, Scalar]]:
    tops = {name: max(inner(entry).corners(), key=_size) for name, entry in sweep.space.items()}
    for point in corner_points(sweep.space):
        # More of anything takes more memory: channels, blocks, pictures, and a term that is there at all.
        yield {name: value if isinstance(value, str) else tops[name] for name, value in point.items()}


def _size(value: Scalar) -> float:
    return 0.0 if isinstance(value, str) else float(value)
