"""What Linux reports about this machine's processor. Free of torch."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpu_field(name: str) -> list[str]:
    """The values of `name` ("model name", "flags", "cpu MHz") in /proc/cpuinfo, one per core; empty off Linux."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    # A blank line separates the cores; its name is empty and matches nothing.
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for own, _, value in pairs if own.strip() == name]
