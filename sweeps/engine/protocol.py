"""What the controller and the workers say to each other: plain data without torch, read on both sides of a process."""

from dataclasses import dataclass, field
from typing import Any

from enhance.conditions import Conditions, Cost
from enhance.config import Scalar
from enhance.report import Report
from enhance.samples import Sample, SampleRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One trial for a worker: what to train, and the step counts at which to report.

    `state` is where an earlier worker left it, None where it begins; `pauses`: the worker shall give its state with
    every report, since the trial may be put aside there; `wanted` are the samples that go with the last one.
    """

    trial: str
    config: dict[str, Scalar]
    seed: int
    rung_steps: tuple[int, ...]
    state: Any = None
    pauses: bool = False
    wanted: SampleRequest = field(default_factory=SampleRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A worker's answer: a report at a rung, or (`ending` "diverged", "failed" or "refused") why there is none.

    `parameters` counts the network's trainable numbers, None where it could not be built; `host` is the machine;
    `wall_s` is the time since the trial was started in this worker. `state` is what another worker can go on from, if
    that was asked for and is small enough to be kept; `samples` are those of a trial that has come to its end.
    """

    trial: str
    report: Report | None
    ending: str
    reason: str
    parameters: int | None
    host: str
    wall_s: float
    state: Any = None
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One network for a worker that has the device to itself: of `config` only net.* matters; `network` names it.

    `earlier` is what an earlier run has measured, and the answer where the worker's device is that run's.
    """

    network: str
    config: dict[str, Scalar]
    conditions: Conditions
    earlier: Cost | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A worker's answer to a `Measurement`; `host` is the machine."""

    network: str
    cost: Cost
    host: str


def lost_measurement(measurement: Measurement, reason: str, host: str) -> Measured:
    """What is known of a network whose measurement was ended from outside: why."""
    nothing = Cost(
        conditions=measurement.conditions, spent_s=0.0, load_1min=0.0, device_name="", torch="", failure=reason
    )
    return Measured(measurement.network, nothing, host)


Work = Assignment | Measurement
Answer = Progress | Measured
