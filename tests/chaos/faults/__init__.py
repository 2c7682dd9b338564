"""The faults, a file per family; the quick ones first."""

from tests.chaos.faults import damage, killed, power, signals, together, writer

FAULTS = [*power.FAULTS, *writer.FAULTS, *damage.FAULTS, *killed.FAULTS, *signals.FAULTS, *together.FAULTS]
