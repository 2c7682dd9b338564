"""What Linux says of this machine's processor. Knows no torch."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpu_field(name: str) -> list[str]:
    """What /proc/cpuinfo says under `name` ("model name", "flags", "cpu MHz"), once per core; empty elsewhere."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for own, _, value in pairs if own.strip() == name]
