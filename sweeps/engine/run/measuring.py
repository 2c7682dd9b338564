"""A search in which every network is measured before it is trained: latency counts from the first rung.

A measurement has the device to itself. So configurations are asked for some at a time, and when those before have all
ended their networks are measured one after the other by one worker, while the others wait; only then are they trained.
A network is measured once in a run, whatever else of the configuration differs, and so is one that a resumed run finds
in the ledger. What cannot be measured is not trained: without a latency nothing can be compared with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from enhance.conditions import Cost
from enhance.config import flatten
from enhance.report import Report
from sweeps.engine.ledger.writer import Row
from sweeps.engine.protocol import Answer, Assignment, Measured, Measurement, Work, lost_measurement
from sweeps.engine.run.controller import Book, Known, RunController
from sweeps.engine.run.trials import RunContext, Trial, cost_from_row, cost_row, network_identity
from sweeps.engine.sweep import COSTS, Sweep

AHEAD = 8
"""Configurations asked for at a time, where a sampler chooses: each time, workers wait for the slowest trial."""


class MeasuringController(RunController):
    """The controller of a sweep that measures costs (`Sweep.cost`). `notice` hears a sentence for whoever waits."""

    def __init__(
        self,
        sweep: Sweep,
        ledger: Book,
        context: RunContext,
        listener: Callable[[Trial], None] | None = None,
        journal: Path | None = None,
        history: Sequence[Known] = (),
    ) -> None:
        super().__init__(sweep, ledger, context, listener, journal, history)
        assert sweep.cost is not None, "a sweep without cost has nothing to measure"
        self.conditions = sweep.cost
        self.costs: dict[str, Cost] = {}
        self._earlier: dict[str, tuple[Cost, str]] = {}
        self.notice: Callable[[str], None] = lambda sentence: None
        self._training: set[str] = set()
        self._measuring: Measurement | None = None
        self._announced = False

    def recall_costs(self, rows: Sequence[Row]) -> None:
        """Take over what earlier invocations have measured. A failure is tried again."""
        known = {row["network"]: cost_from_row(row) for row in rows}
        self.costs |= {network: cost for network, cost in known.items() if not cost.failure}

    def recall_earlier_costs(self, rows: Sequence[Row]) -> int:
        """Offer what other runs have measured of the same code under the same conditions; how many networks that are.

        What was measured beside something else is measured again: its interval is wide. Whether a cost is of the device
        that would measure it now, only a worker can say.
        """
        found = {}
        for row in rows:
            sound = not (row["cost.failure"] or row["cost.contended"])
            if sound and row["run.code"] == self.context.code:
                cost = cost_from_row(row)
                if cost.conditions == self.conditions:
                    found[row["network"]] = (cost, row.get("measured_in") or row["run.run"])
        self._earlier |= found
        return len(found)

    def next_assignment(self) -> Work | None:
        if not self.has_work():
            return None
        unmeasured = self._unmeasured()
        if unmeasured:
            return self._measure(unmeasured)
        assignment = super().next_assignment()
        assert isinstance(assignment, Assignment)
        trial = self.trials[assignment.trial]
        if failure := self._cost(trial).failure:
            self._end(trial, "failed", f"its network could not be measured: {failure}")
            return self.next_assignment()
        self._training.add(trial.id)
        self._announced = False
        return assignment

    def has_work(self) -> bool:
        if self._measuring or not super().has_work():
            return False
        return not (self._unmeasured() and self._training)

    def hear(self, progress: Answer) -> bool:
        if isinstance(progress, Measured):
            self._hear_cost(progress)
            return False
        goes_on = super().hear(progress)
        if not goes_on:
            self._training.discard(progress.trial)
        return goes_on

    def lost(self, assignment: Work, reason: str) -> None:
        if isinstance(assignment, Measurement):
            self._hear_cost(lost_measurement(assignment, reason, host=""))
        else:
            super().lost(assignment, reason)
            self._training.discard(assignment.trial)

    def _fill(self) -> None:
        """Ask for several configurations, so that their networks are measured in a row: for all that are listed."""
        super()._fill()
        ahead = self.sweep.budget.trials if self.sweep.design else max(AHEAD, len(self.sweep.enqueue))
        asked = {trial.number for trial in self._waiting}
        while asked and len(asked) < ahead and not self._all_given():
            self._ask(1 + max(self._candidates))
            asked = {trial.number for trial in self._waiting}

    def _unmeasured(self) -> list[Trial]:
        return [trial for trial in self._waiting if network_identity(trial.config) not in self.costs]

    def _measure(self, unmeasured: Sequence[Trial]) -> Measurement:
        networks = {network_identity(trial.config): trial.config for trial in reversed(unmeasured)}
        network, config = next(reversed(networks.items()))
        if not self._announced:
            most = f"up to about {self.conditions.max_s:g} s each"
            self.notice(f"measuring the latency of {len(networks)} networks before they are trained: {most}")
            self._announced = True
        earlier, _ = self._earlier.get(network, (None, ""))
        self._measuring = Measurement(
            network=network, config=flatten(config), conditions=self.conditions, earlier=earlier
        )
        return self._measuring

    def _hear_cost(self, measured: Measured) -> None:
        assert self._measuring is not None, f"nobody asked for the cost of network {measured.network}"
        reused = measured.cost == self._measuring.earlier
        measured_in = self._earlier[measured.network][1] if reused else str(self.context.columns["run.run"])
        row = cost_row(
            measured.network, self._measuring.config, measured.cost, measured.host, self.context, measured_in
        )
        self.ledger.commit("costs", [row])
        self.costs[measured.network], self._measuring = measured.cost, None
        left = len({network_identity(trial.config) for trial in self._unmeasured()})
        how = f"known from run {measured_in}" if reused else "measured"
        self.notice(f"{how}, {left} left: {_in_words(measured.cost)}")

    def _cost(self, trial: Trial) -> Cost:
        return self.costs[network_identity(trial.config)]

    def _hear_report(self, trial: Trial, report: Report) -> None:
        """What was measured stands in every report beside what was trained, and is compared with it."""
        cost = self._cost(trial)
        known = {name: float(getattr(cost, name)) for name in COSTS}
        super()._hear_report(trial, replace(report, metrics={**report.metrics, **known}))


def _in_words(cost: Cost) -> str:
    if cost.failure:
        return cost.failure
    interval = f"{cost.latency_ratio_low:.3g} to {cost.latency_ratio_high:.3g}"
    noticed = f"; {cost.contention}" if cost.contended else ""
    return f"{cost.latency_ms:.4g} ms, {cost.latency_ratio:.3g} times DPED's ({interval}){noticed}"
