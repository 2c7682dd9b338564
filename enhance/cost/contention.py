"""Whether anything else had a part of the machine while networks were timed.

Four rules, each with a sentence of its own. From CPU times (Linux, /proc/stat): other processes kept more than
OTHERS_SHARE of all cores busy; or the host of a virtual machine took more than STOLEN_SHARE of one core. Where there
are no CPU times: the load average before or after exceeds the threads in use by more than LOAD_SHARE of the cores.
From the clock, where the system tells it: it differs by more than CLOCK_SHARE before and after. From the baseline: its
slowest round took more than SPREAD times its fastest.

On a GPU this sees the processes of its machine, and other users of the device only through the baseline's times.
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
    """How a machine stands at one moment; seconds are sums since some start.

    busy_s and stolen_s: over all cores, None where there is no /proc/stat. own_s: CPU seconds of this process, all its
    threads. clock_mhz: of the fastest core, None where it is not told.
    """

    wall_s: float
    own_s: float
    busy_s: float | None
    stolen_s: float | None
    load_1min: float
    clock_mhz: float | None
    cores: int


def snapshot() -> Snapshot:
    """How this machine stands now."""
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


def noticed(before: Snapshot, after: Snapshot, threads: int, baseline_s: list[float]) -> list[str]:
    """A sentence for every rule that is broken; see the module."""
    return [*_others(before, after, threads), *_clock(before, after), *_spread(baseline_s)]


def _others(before: Snapshot, after: Snapshot, threads: int) -> list[str]:
    if before.busy_s is None or after.busy_s is None or before.stolen_s is None or after.stolen_s is None:
        load = max(before.load_1min, after.load_1min)
        limit = threads + LOAD_SHARE * after.cores
        return [f"the load average was {load:.2f} with {threads} threads in use"] if load > limit else []
    wall_s = after.wall_s - before.wall_s
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
    """Busy and stolen seconds of all cores together. proc(5): user nice system idle iowait irq softirq steal."""
    if not STAT.exists():
        return None, None
    ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = ticks
    per_second = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / per_second, steal / per_second


def _clock_mhz() -> float | None:
    return max(map(float, cpu_field("cpu MHz")), default=None)
