"""What the referee and the workers say to each other: plain data without torch, read on both sides of a process."""

from dataclasses import dataclass
from typing import Any

from enhance.config import Scalar
from enhance.report import Report

ENDINGS = ("completed", "stopped", "diverged", "failed", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One trial for a worker: what to train, and the step counts at which to report.

    `state` is where an earlier worker left it, None where it begins; `pauses`: the worker shall give its state with
    every report, since the trial may be put aside there.
    """

    trial: str
    config: dict[str, Scalar]
    seed: int
    rung_steps: tuple[int, ...]
    state: Any = None
    pauses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A worker's answer: a report at a rung, or (`ending` "diverged", "failed" or "refused") why there is none.

    `parameters` counts the network's trainable numbers, None where it could not be built; `host` is the machine;
    `wall_s` is the time since the trial was started in this worker. `state` is what another worker can go on from, if
    that was asked for and is small enough to be kept.
    """

    trial: str
    report: Report | None
    ending: str
    reason: str
    parameters: int | None
    host: str
    wall_s: float
    state: Any = None
