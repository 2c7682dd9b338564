"""Detecting other load on the machine while networks are timed.

There are four signs, each with its own message:

- CPU times (Linux, /proc/stat): other processes kept more than OTHERS_SHARE of all cores busy, or the host of a virtual
  machine stole more than STOLEN_SHARE of one core;
- without CPU times, the load average: before or after, it exceeds the threads in use by more than LOAD_SHARE of the
  cores;
- the clock, where it can be read: its frequency before and after differs by more than CLOCK_SHARE;
- the baseline: its slowest round took more than SPREAD times as long as its fastest.

On a GPU, other users of the device show up in the baseline's times only.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from enhance.system.processor import cpu_field

OTHERS_SHARE = 0.10
STOLEN_SHARE = 0.02
LOAD_SHARE = 0.25
CLOCK_SHARE = 0.10
SPREAD = 1.25

STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a machine at one moment. Seconds are cumulative since an arbitrary start.

    busy_s, stolen_s: summed over all cores; None without /proc/stat. own_s: CPU seconds of this process, all threads.
    clock_mhz: of the fastest core; None if it cannot be read.
    """

    wall_s: float
    own_s: float
    busy_s: float | None
    stolen_s: float | None
    load_1min: float
    clock_mhz: float | None
    cores: int


def snapshot() -> Snapshot:
    """The state of this machine now."""
    busy_s, stolen_s = _cpu_seconds()
    return Snapshot(
        wall_s=time.monotonic(),
        own_s=time.process_time(),
        busy_s=busy_s,
        stolen_s=stolen_s,
        load_1min=os.getloadavg()[0],
        clock_mhz=_clock_mhz(),
        cores=os.cpu_count() or 1,
    )


def signs_of_contention(before: Snapshot, after: Snapshot, threads: int, baseline_s: list[float]) -> list[str]:
    """One sentence for every sign of other load between two snapshots; see the module."""
    return [*_others(before, after, threads), *_clock(before, after), *_spread(baseline_s)]


def _others(before: Snapshot, after: Snapshot, threads: int) -> list[str]:
    if before.busy_s is None or after.busy_s is None or before.stolen_s is None or after.stolen_s is None:
        # The larger one: an average over a minute is slow to show load that has just begun.
        load = max(before.load_1min, after.load_1min)
        limit = threads + LOAD_SHARE * after.cores
        return [f"the load average was {load:.2f} with {threads} threads in use"] if load > limit else []
    wall_s = after.wall_s - before.wall_s
    # What all cores did, less what this process did; /proc/stat counts in ticks, so short windows are coarse.
    others = (after.busy_s - before.busy_s - (after.own_s - before.own_s)) / wall_s
    stolen = (after.stolen_s - before.stolen_s) / wall_s
    said = []
    if others > OTHERS_SHARE * after.cores:
        said.append(f"other processes kept {others:.2f} of {after.cores} cores busy")
    if stolen > STOLEN_SHARE:
        said.append(f"the host took {stolen:.2f} cores away")
    return said


def _clock(before: Snapshot, after: Snapshot) -> list[str]:
    if before.clock_mhz is None or after.clock_mhz is None:
        return []
    if abs(after.clock_mhz / before.clock_mhz - 1) <= CLOCK_SHARE:
        return []
    return [f"the clock went from {before.clock_mhz:.0f} to {after.clock_mhz:.0f} MHz"]


def _spread(baseline_s: list[float]) -> list[str]:
    fastest, slowest = min(baseline_s), max(baseline_s)
    if slowest <= SPREAD * fastest:
        return []
    return [f"the baseline took from {1000 * fastest:.4g} to {1000 * slowest:.4g} ms"]


def _cpu_seconds() -> tuple[float | None, float | None]:
    """Busy and stolen seconds, summed over all cores."""
    if not STAT.exists():
        return None, None
    # proc(5): user nice system idle iowait irq softirq steal. Waiting for a disk (iowait) leaves the core free. The two
    # that follow, guest and guest_nice, are contained in user and nice.
    ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = ticks
    per_second = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / per_second, steal / per_second


def _clock_mhz() -> float | None:
    # Of the fastest core: the others may be idle, with their clocks low.
    return max(map(float, cpu_field("cpu MHz")), default=None)
