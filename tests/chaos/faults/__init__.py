"""The faults, a file per family; the quick ones first."""

from tests.chaos.faults import (
    clocks,
    damage,
    disks,
    growth,
    hosts,
    killed,
    nodes,
    others,
    power,
    signals,
    together,
    trials,
    writer,
)

FAULTS = [
    *power.FAULTS,
    *writer.FAULTS,
    *damage.FAULTS,
    *killed.FAULTS,
    *signals.FAULTS,
    *together.FAULTS,
    *disks.FAULTS,
    *trials.FAULTS,
    *clocks.FAULTS,
    *others.FAULTS,
    *nodes.FAULTS,
    *hosts.FAULTS,
    *growth.FAULTS,
]
