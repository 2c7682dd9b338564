"""Costs of networks, measured before training: latency counts from the first rung.

A measurement needs the device to itself. So several configurations are asked for at a time; when all trials before
them have ended, one worker measures their networks one after the other while the others wait; only then are they
trained. A run measures a network once, whatever else of the configurations differs, and a resumed run finds it in the
ledger. A network that cannot be measured is not trained: without a latency it cannot be compared.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from enhance.conditions import Conditions, Cost
from enhance.config import Config, flatten
from enhance.report import Report
from sweeps.engine.ledger.writer import Row
from sweeps.engine.protocol import Measured, Measurement
from sweeps.engine.run.trials import RunContext, Trial, cost_from_row, cost_row, network_identity
from sweeps.engine.sweep import COSTS, Sweep

AHEAD = 8
"""Configurations asked for at a time, if a sampler chooses them: each time, workers wait for the slowest trial."""


class NetworkCosts:
    """What networks cost under `conditions`, by network, and what is still to be measured.

    `notice` is called with a sentence about each measurement: meanwhile nothing else happens in the run.
    """

    def __init__(
        self, conditions: Conditions, context: RunContext, notice: Callable[[str], None] = lambda sentence: None
    ) -> None:
        self.conditions, self.context, self.notice = conditions, context, notice
        self.known: dict[str, Cost] = {}
        # What other runs have measured: the cost, and the run that measured it.
        self._offers: dict[str, tuple[Cost, str]] = {}
        self._training: list[Trial] = []
        self._measuring: Measurement | None = None
        self._announced = False

    # --- what was measured before --------------------------------------------------------------------------------

    def recall(self, rows: Iterable[Row]) -> None:
        """Take over what earlier invocations of this run have measured. A failure is tried again."""
        known = {row["network"]: cost_from_row(row) for row in rows}
        self.known |= {network: cost for network, cost in known.items() if not cost.failure}

    def offer(self, rows: Iterable[Row]) -> int:
        """Offer what other runs have measured of the same code under the same conditions; the number of such networks.

        A cost that was measured beside other work is not taken: its interval is wide. Whether a cost was measured on
        the device of today is for the worker to say.
        """
        found = {}
        for row in rows:
            sound = not (row["cost.failure"] or row["cost.contended"])
            if sound and row["run.code"] == self.context.code:
                cost = cost_from_row(row)
                if cost.conditions == self.conditions:
                    # That run may itself have taken the cost from another, which is then the one to name.
                    found[row["network"]] = (cost, row.get("measured_in") or row["run.run"])
        self._offers |= found
        return len(found)

    # --- measuring and training in turns -------------------------------------------------------------------------

    @staticmethod
    def ahead(sweep: Sweep) -> int:
        """How many configurations to ask for at a time, so that their networks are measured in a row."""
        # A design does not wait for results, so all of its networks can be measured at the start.
        return sweep.budget.trials if sweep.design else max(AHEAD, len(sweep.enqueue))

    def device_is_free(self, waiting: Iterable[Trial]) -> bool:
        """Whether the next work may be given out: nothing runs beside a measurement."""
        if self._measuring:
            return False
        # Forget those that have ended: a run has thousands.
        self._training = [trial for trial in self._training if not trial.ending]
        return not (self._training and self._unmeasured(waiting))

    def next_measurement(self, waiting: Iterable[Trial]) -> Measurement | None:
        """What to measure before any of the waiting trials is trained; None if all are known."""
        unmeasured = self._unmeasured(waiting)
        if not unmeasured:
            return None
        network, config = next(iter(unmeasured.items()))
        if not self._announced:
            most = f"up to about {self.conditions.max_s:g} s each"
            self.notice(f"measuring the latency of {len(unmeasured)} networks before they are trained: {most}")
            self._announced = True
        earlier, _ = self._offers.get(network, (None, ""))
        self._measuring = Measurement(
            network=network, config=flatten(config), conditions=self.conditions, earlier=earlier
        )
        return self._measuring

    def note_training(self, trial: Trial) -> None:
        """A worker has been given the trial: until it has ended, nothing is measured."""
        self._training.append(trial)
        self._announced = False

    def hear(self, measured: Measured, waiting: Iterable[Trial]) -> None:
        """Take in the answer to the last measurement, whose `row` is in the ledger."""
        # First, since it looks at the measurement that the next line closes.
        source = self._source(measured)
        self.known[measured.network], self._measuring = measured.cost, None
        how = f"known from run {source}" if source else "measured"
        self.notice(f"{how}, {len(self._unmeasured(waiting))} left: {_in_words(measured.cost)}")

    # --- what is known -------------------------------------------------------------------------------------------

    def of(self, trial: Trial) -> Cost:
        """The cost of the trial's network. Raises KeyError if it has not been measured."""
        return self.known[network_identity(trial.config)]

    def add_to(self, report: Report, trial: Trial) -> Report:
        """The report with the trial's costs among its metrics, so that they are recorded and compared like scores."""
        cost = self.of(trial)
        return replace(report, metrics={**report.metrics, **{name: float(getattr(cost, name)) for name in COSTS}})

    def row(self, measured: Measured) -> Row:
        """The row of `costs` for the answer to the last measurement."""
        measurement = self._asked(measured)
        measured_in = self._source(measured) or str(self.context.columns["run.run"])
        return cost_row(measured.network, measurement.config, measured.cost, measured.host, self.context, measured_in)

    def _source(self, measured: Measured) -> str:
        """The run that measured the cost, "" if it is this one."""
        # A worker returns an offered cost unchanged; two measurements never agree in every time.
        offered = measured.cost == self._asked(measured).earlier
        return self._offers[measured.network][1] if offered else ""

    def _asked(self, measured: Measured) -> Measurement:
        assert self._measuring is not None, f"the cost of network {measured.network} was not requested"
        return self._measuring

    def _unmeasured(self, waiting: Iterable[Trial]) -> Mapping[str, Config]:
        """Networks of the waiting trials that are not known yet, in the order in which they come."""
        networks: dict[str, Config] = {}
        for trial in waiting:
            if (network := network_identity(trial.config)) not in self.known:
                networks.setdefault(network, trial.config)
        return networks


def _in_words(cost: Cost) -> str:
    if cost.failure:
        return cost.failure
    interval = f"{cost.latency_ratio_low:.3g} to {cost.latency_ratio_high:.3g}"
    noticed = f"; {cost.contention}" if cost.contended else ""
    return f"{cost.latency_ms:.4g} ms, {cost.latency_ratio:.3g} times DPED's ({interval}){noticed}"
