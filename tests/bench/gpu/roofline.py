"""The shortest time that a step could take on a device: its arithmetic, or its memory traffic, whichever is longer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peaks:
    """What the device did at best in a measurement: floating-point operations and bytes per second."""

    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Work:
    """What a step does: floating-point operations, and bytes that its operations read and write."""

    flops: float
    bytes: float


def roofline_s(work: Work, peaks: Peaks) -> float:
    """The larger of the two times, in seconds. Raises ValueError for peaks that are not positive."""
    if not (peaks.flops_per_s > 0 and peaks.bytes_per_s > 0):
        raise ValueError(f"{peaks} must be above 0")
    return max(work.flops / peaks.flops_per_s, work.bytes / peaks.bytes_per_s)


def bound(work: Work, peaks: Peaks) -> str:
    """Which of the two it is."""
    return "arithmetic" if work.flops / peaks.flops_per_s >= work.bytes / peaks.bytes_per_s else "memory"


def idle_share(busy_percents: list[float]) -> float | None:
    """The share of time in which the device did nothing, from NVML's samples; None if there are none."""
    return 1 - sum(busy_percents) / len(busy_percents) / 100 if busy_percents else None
