"""The messages between the controller and the workers: plain data without torch, which any process can unpickle."""

from dataclasses import dataclass, field
from typing import Any

from enhance.conditions import Conditions, Cost
from enhance.config import Scalar
from enhance.report import Report
from enhance.samples import Sample, SampleRequest
from enhance.weights.files import Weights

LAST, EACH = "last", "each"
"""With which reports a trial sends its network."""


class CannotStart(RuntimeError):
    """No worker of this run can start; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A trial to train: its configuration (flat leaves) and seed, and the step counts at which to report.

    `state` is what an earlier worker handed over, None to begin at step 0. With `pauses` the worker hands over its
    state with every report, since the trial may have to wait there. `wanted` are the samples to send with the last one.
    With `checkpoints` it hands over its state with every report but the last, however large. `weights` says with which
    reports to send the network: LAST, EACH, or none ("").
    """

    trial: str
    config: dict[str, Scalar]
    seed: int
    rung_steps: tuple[int, ...]
    # Opaque to the driver: bytes from a real worker, a step from a simulated one.
    state: Any = None
    pauses: bool = False
    wanted: SampleRequest = field(default_factory=SampleRequest)
    checkpoints: bool = False
    weights: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A worker's answer to an `Assignment`: a report at a rung, or an ending with the reason why there is none.

    `ending` is "" beside a report, else "diverged", "failed" or "refused". `parameters` is the network's number of
    trainable parameters, None if it could not be built; `host` the machine's name; `wall_s` the seconds since this
    worker began. `steps` are those that the trial has trained, and `unreported_s` the seconds of work since its last
    report: beside an ending, what was spent for no report. `state` is what another worker can continue from, None if it
    was not requested or is too large; `samples` come with the last report, and `weights` with those for which
    they were requested. `captured` says whether the steps came from recordings (`MicroRun.captured`), None if nothing
    was built; `per_device` how many trials could share the GPU, None on a CPU. `device_full`: the trial failed because
    the device had no memory left, which other processes may have taken.
    """

    trial: str
    report: Report | None
    ending: str
    reason: str
    parameters: int | None
    host: str
    wall_s: float
    steps: int = 0
    unreported_s: float = 0.0
    state: Any = None
    samples: tuple[Sample, ...] = ()
    weights: Weights | None = None
    captured: str | None = None
    per_device: int | None = None
    device_full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A network to measure while nothing else runs. Only net.* of `config` matters; `network` is its ID.

    `earlier` is the cost that an earlier run measured; a worker with the same device answers with it.
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
    """The answer for a measurement whose worker was lost or hung: a cost with nothing but the reason."""
    nothing = Cost(
        conditions=measurement.conditions, spent_s=0.0, load_1min=0.0, device_name="", torch="", failure=reason
    )
    return Measured(measurement.network, nothing, host)


Work = Assignment | Measurement
Answer = Progress | Measured
