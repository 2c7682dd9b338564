"""The Ray actor that trains: a warm worker on one of the machines, driven by Ray Tune (`ray_tune.py`)."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ray import tune

from enhance.config import Scalar
from enhance.data.storage.delivery import open_delivered
from sweeps.engine.cluster.node_check import Requirements, problems
from sweeps.engine.cluster.nodes import fetch_from, name_of, this_node
from sweeps.engine.environment import code_hash, file_hash
from sweeps.engine.protocol import Work
from sweeps.engine.workers.device_probe import DeviceProbe
from sweeps.engine.workers.sharing import Sharing, measured

IDLE_S, LONGEST_IDLE_S = 0.05, 1.0
"""An idle worker waits this long before it reports that it is idle: from the first to the second, doubling."""


@dataclass(frozen=True)
class WorkerConfig:
    """Where workers train: `workers` trials at a time or, if `elastic`, as many as the cluster has slots.

    `store` is the path of the packed data. On a cluster, `required` is what every machine must have. `per_device`
    trials share a GPU; "auto": as many as measure best; None: as few as `workers` allow, and one if `elastic`.
    """

    workers: int
    device: str
    store: Path
    elastic: bool = False
    required: Requirements | None = None
    per_device: int | Literal["auto"] | None = None


class WarmWorker(tune.Trainable):
    """A worker inside a Ray actor. One `step` trains to the next rung; a reset takes the next trial.

    On a machine that is unfit for this run it trains nothing and says why. It keeps its slot, so that Ray places no
    other trial on that machine.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.unfit = _unfit(config["config"], config["code"], config["files"])
        self.idle_s = IDLE_S
        if not self.unfit:
            # An exception would end this process: each trial would be lost with four of them, and none would say why.
            try:
                self._start_worker(config["config"], config["timeout_s"])
            except Exception as error:  # noqa: BLE001 - whatever it is, no trial can be trained here
                self.unfit = f"no worker can start on {name_of(this_node())}: {type(error).__name__}: {error}"
        if not self.unfit:
            self._take(config["assignment"])

    def _start_worker(self, config: WorkerConfig, timeout_s: float | None) -> None:
        # Imported here, in the actor: the driver imports this module too, and does not load torch.
        from sweeps.engine.workers.worker import Worker

        together = config.per_device if isinstance(config.per_device, int) else 1
        self.worker = Worker(_store(config), config.device, timeout_s=timeout_s, per_device=together)

    def _take(self, assignment: Work | None) -> None:
        # 0 means that there is work.
        self.idle_s = IDLE_S if assignment is None else 0.0
        if assignment is not None:
            self.worker.start(assignment)

    def step(self) -> dict[str, Any]:
        if self.idle_s:
            time.sleep(self.idle_s)
            self.idle_s = min(2 * self.idle_s, LONGEST_IDLE_S)
            return {"progress": None, "unfit": self.unfit}
        return {"progress": self.worker.advance(), "unfit": ""}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if self.unfit or self.worker.tainted:
            # If this returned False, Tune would end the trial silently. From an error the driver learns that it must
            # give the work to another process. A thread that hangs cannot be ended; its process can.
            raise RuntimeError(self.unfit or "a trial hangs in this process")
        self._take(new_config["assignment"])
        return True


def _unfit(config: WorkerConfig, code: str, files: str) -> str:
    """Why this machine must not train, "" if it may. It may have joined after the cluster was checked."""
    if config.required is not None:
        wrong = problems(config.required, this_node(), fetch_from(config.required.sender), thorough=False)
        return f"{name_of(this_node())} is given no trials: {'; '.join(wrong)}" if wrong else ""
    # Bytes first: equal files are equal code, and parsing them would add tenths of a second to every worker's start.
    if file_hash() != files and code_hash() != code:
        return f"enhance/ has changed since the run began (it was {code}, and is {code_hash()}): start it again"
    return ""


def sharing_here(config: WorkerConfig, configs: list[dict[str, Scalar]], most: int) -> Sharing:
    """How many trials share the GPU that this process was given: a task of Ray's, run while nothing else trains.

    Raises ProbeFailed.
    """
    with DeviceProbe(configs, _store(config), config.device) as probe:
        return measured(probe, most)


def _store(config: WorkerConfig) -> Path:
    """The path of the packed data on this machine, fetched from the driver if it is missing."""
    if config.required is None:
        return config.store
    return open_delivered(config.required.transfer, fetch_from(config.required.sender)).path
