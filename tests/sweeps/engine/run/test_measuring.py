"""Networks are measured before training, once each, while nothing else is running."""

import random
from pathlib import Path

import pytest

from analysis.ledger.load import load
from analysis.ledger.schema import DATASETS
from enhance.conditions import Conditions, Cost
from sweeps.engine.cli.driver import read_rows
from sweeps.engine.ledger.writer import Ledger
from sweeps.engine.protocol import Answer, Measured, Measurement, Work
from sweeps.engine.run.controller import RunController
from sweeps.engine.run.measuring import NetworkCosts
from sweeps.engine.run.trials import cost_row
from sweeps.engine.space import Choice, Log
from sweeps.engine.sweep import Budget, Sweep, SweepError
from tests.sweeps.engine.pretended import CONTEXT, PretendedWorker, open_ledger, small_sweep
from tests.sweeps.engine.run.test_controller import run_row

COST = Conditions(width_px=64, height_px=48)


def measuring_sweep(**changes: object) -> Sweep:
    values: dict[str, object] = {
        "space": {"net.channels": Choice(4, 8, 16), "loss.color": Log(0.1, 10.0)},
        "fixed": {"net.blocks": 0, "loss.pixel": 1.0, "loss.tv": 1.0},
        "enqueue": {},
        "objectives": ("psnr_db", "latency_ratio"),
        "budget": Budget(trials=20, steps=90, rungs=3, confirm=1, confirm_seeds=2),
        "cost": COST,
    }
    return small_sweep(**{**values, **changes})


def cost(channels: int, failure: str = "") -> Cost:
    ratio = channels / 64
    known = {"spent_s": 1.0, "load_1min": 0.0, "device_name": "pretended", "torch": "none"}
    if failure:
        return Cost(conditions=COST, failure=failure, **known)
    scores = {"macs": 1000 * channels, "latency_ms": 10.0 * ratio, "latency_ratio": ratio}
    scores |= {"latency_ratio_low": 0.9 * ratio, "latency_ratio_high": 1.1 * ratio}
    return Cost(conditions=COST, parameters=1, **scores, **known)


class MeasuringWorker(PretendedWorker):
    """Measures too: a network of `broken` channels cannot be."""

    broken = 0
    reuses = True

    def start(self, assignment: Work) -> None:
        self.measurement = assignment if isinstance(assignment, Measurement) else None
        if self.measurement is None:
            super().start(assignment)

    def advance(self) -> Answer:
        if self.measurement is None:
            return super().advance()
        if self.reuses and self.measurement.earlier is not None:
            return Measured(self.measurement.network, self.measurement.earlier, "here")
        channels = int(self.measurement.config["net.channels"])
        failure = "out of memory" if channels == self.broken else ""
        return Measured(self.measurement.network, cost(channels, failure), "here")


def begin(root: Path, sweep: Sweep) -> RunController:
    ledger = open_ledger(root)
    if not list((root / "runs").glob("*.parquet")):
        ledger.commit("runs", [{"run": "r1", "question": "?", "run.data_spec": "demo", **run_row()}])
    assert sweep.cost is not None
    costs = NetworkCosts(sweep.cost, CONTEXT)
    controller = RunController(sweep, ledger, CONTEXT, costs=costs)
    costs.recall(read_rows(root, "costs", DATASETS["costs"].key)[0])
    keys = {"starts": ["trial"], "reports": ["trial", "step"], "trials": ["trial"]}
    controller.restore(**{name: read_rows(root, name, key)[0] for name, key in keys.items()})
    return controller


def play_at_once(controller: RunController, workers: int, seed: int, messages: int = 10**6, broken: int = 0) -> int:
    """Carry work to several workers, their answers in random order; how many networks were measured."""
    rng, busy, measured = random.Random(seed), [], 0
    for _ in range(messages):
        while len(busy) < workers and (work := controller.next_assignment()):
            worker = MeasuringWorker()
            worker.broken = broken
            worker.start(work)
            busy.append(worker)
            measured += isinstance(work, Measurement)
            if any(other.measurement for other in busy):
                assert len(busy) == 1, "a measurement has the device to itself"
        if not busy:
            break
        worker = rng.choice(busy)
        if not controller.hear(worker.advance()):
            busy.remove(worker)
    controller.ledger.close()
    return measured


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.slow
def test_every_network_is_measured_once_and_alone(tmp_path: Path, workers: int) -> None:
    controller, said = begin(tmp_path, measuring_sweep()), []
    controller.costs.notice = said.append
    assert play_at_once(controller, workers, seed=workers) == 3
    assert controller.finished
    assert sum("times DPED's" in sentence for sentence in said) == 3
    ledger = load(tmp_path)
    assert sorted(ledger.costs["config.net.channels"]) == [4, 8, 16]
    assert len(ledger.trials) == 22
    for frame in (ledger.trials.dropna(subset=["metric.psnr_db"]), ledger.reports.merge(ledger.trials[_CHANNELS])):
        assert (frame["metric.latency_ratio"] == frame["config.net.channels"] / 64).all()
        assert (frame["metric.macs"] == frame["config.net.channels"] * 1000).all()


_CHANNELS = ["trial", "config.net.channels"]


@pytest.mark.slow
def test_latency_counts_from_the_first_rung(tmp_path: Path) -> None:
    """With equal quality only speed is left: whatever was let past a rung was among the fast."""
    controller = begin(tmp_path, measuring_sweep(objectives=("latency_ratio",), design=None, sampler="random"))
    play_at_once(controller, 1, seed=0)
    trials = load(tmp_path).trials.query("stage == 'search'")
    completed, stopped = (trials.query("ending == @ending") for ending in ("completed", "stopped"))
    assert completed["metric.latency_ratio"].mean() < stopped["metric.latency_ratio"].mean()
    assert 16 not in set(completed["config.net.channels"].iloc[1:])


@pytest.mark.slow
def test_a_resumed_run_measures_nothing_twice(tmp_path: Path) -> None:
    first = play_at_once(begin(tmp_path, measuring_sweep()), 2, seed=0, messages=9)
    second = begin(tmp_path, measuring_sweep())
    assert first + play_at_once(second, 2, seed=1) == 3
    assert second.finished
    assert load(tmp_path).costs["network"].is_unique


def test_a_failure_does_not_hide_the_measurement_that_came_after_it(tmp_path: Path) -> None:
    config = {"net.channels": 4}
    with Ledger(tmp_path) as ledger:
        for failure in ("out of memory", ""):
            ledger.commit("costs", [cost_row("n", config, cost(4, failure), "here", CONTEXT, "r1")])
    assert begin(tmp_path, measuring_sweep()).costs.known == {"n": cost(4)}


@pytest.mark.slow
def test_what_another_run_has_measured_is_offered_and_told_where_it_is_from(tmp_path: Path) -> None:
    play_at_once(begin(tmp_path / "past", measuring_sweep()), 1, seed=0)
    rows = read_rows(tmp_path / "past", "costs", DATASETS["costs"].key)[0]
    controller, said = begin(tmp_path / "now", measuring_sweep()), []
    controller.costs.notice = said.append
    assert controller.costs.offer([{**row, "measured_in": "r0"} for row in rows]) == 3
    play_at_once(controller, 2, seed=1)
    assert sum("known from run r0" in sentence for sentence in said) == 3
    costs = load(tmp_path / "now").costs
    assert set(costs["measured_in"]) == {"r0"}
    assert (costs["cost.latency_ratio"] == costs["config.net.channels"] / 64).all()


@pytest.mark.parametrize(
    "change",
    [{"run.code": "other"}, {"cost.width_px": 128}, {"cost.failure": "out of memory"}, {"cost.contended": True}],
    ids=lambda c: next(iter(c)),
)
@pytest.mark.slow
def test_a_cost_of_other_code_or_conditions_or_that_was_disturbed_is_not_offered(
    tmp_path: Path, change: dict[str, object]
) -> None:
    play_at_once(begin(tmp_path / "past", measuring_sweep()), 1, seed=0)
    rows = [row | change for row in read_rows(tmp_path / "past", "costs", DATASETS["costs"].key)[0]]
    controller = begin(tmp_path / "now", measuring_sweep())
    assert controller.costs.offer(rows) == 0
    work = controller.next_assignment()
    assert isinstance(work, Measurement)
    assert work.earlier is None


@pytest.mark.slow
def test_what_cannot_be_measured_is_not_trained(tmp_path: Path) -> None:
    controller = begin(tmp_path, measuring_sweep())
    play_at_once(controller, 2, seed=0, broken=16)
    assert controller.finished
    ledger = load(tmp_path)
    broken = ledger.trials.query("`config.net.channels` == 16")
    assert set(broken["ending"]) == {"failed"}
    assert set(broken["reason"]) == {"its network could not be measured: out of memory"}
    assert ledger.costs.query("`config.net.channels` == 16")["cost.failure"].tolist() == ["out of memory"]
    assert not set(broken["trial"]) & set(ledger.reports["trial"])


def test_a_worker_that_dies_of_a_measurement_is_a_failure_of_the_network(tmp_path: Path) -> None:
    controller = begin(tmp_path, measuring_sweep())
    work = controller.next_assignment()
    assert isinstance(work, Measurement)
    assert controller.next_assignment() is None
    assert not controller.has_work()
    controller.lost(work, "its worker died 4 times")
    assert controller.has_work()
    controller.ledger.close()
    assert [row["cost.failure"] for row in read_rows(tmp_path, "costs", ["network"])[0]] == ["its worker died 4 times"]


def test_latency_without_conditions_is_refused() -> None:
    with pytest.raises(SweepError, match="latency_ratio must be measured"):
        measuring_sweep(cost=None)
