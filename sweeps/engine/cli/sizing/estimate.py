"""What a sweep will cost, extrapolated from a few training steps of one configuration.

That is the first enqueued configuration, or a corner of the space. It is timed in this process, before Ray starts, so
that nothing competes for the device; that loads torch and takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from enhance.config import Scalar
from enhance.data import PatchStore
from sweeps.engine.cli.sizing.workload import expected_evaluations, expected_steps, most_evaluations, most_steps
from sweeps.engine.environment import THREADS
from sweeps.engine.space import corner_points
from sweeps.engine.sweep import Sweep

WARM_STEPS, STEPS = 3, 10
"""Steps that do not count, since memory is allocated and kernels are chosen in them, and steps that are timed."""


@dataclass(frozen=True)
class Pace:
    """Seconds of one training step and of one evaluation."""

    step_s: float
    eval_s: float

    def seconds(self, steps: float, evaluations: float) -> float:
        """Of that many of each, one after the other."""
        return steps * self.step_s + evaluations * self.eval_s


@dataclass(frozen=True)
class Estimate:
    """Expected and maximal device hours, if every trial costs what the timed configuration does.

    `timed` names that configuration.
    """

    timed: str
    pace: Pace
    expected_hours: float
    most_hours: float

    def words(self, price_per_hour: float | None) -> str:
        """The estimate in a line, with its price if there is one per hour."""
        said = f"about {self.expected_hours:.3g} device hours, at most {self.most_hours:.3g}"
        if price_per_hour is not None:
            expected, most = (hours * price_per_hour for hours in (self.expected_hours, self.most_hours))
            said += f"; about {expected:.2f}, at most {most:.2f} at {price_per_hour:g} per hour"
        steps = f"{1000 * self.pace.step_s:.1f} ms per step, {self.pace.eval_s:.2f} s per evaluation"
        return f"{said} ({steps}: {STEPS} steps of {self.timed}, with the device to itself)"


def estimate(sweep: Sweep, store: PatchStore, device: str) -> Estimate:
    """Time a few steps and one evaluation, and multiply. Raises whatever the timed configuration raises."""
    label, values = next(iter(sweep.enqueue.items()), ("a corner of the space", next(corner_points(sweep.space))))
    pace = time_steps(sweep, values, store, device, STEPS)
    expected = pace.seconds(
        expected_steps(sweep.budget, sweep.stopping), expected_evaluations(sweep.budget, sweep.stopping)
    )
    most = pace.seconds(most_steps(sweep.budget), most_evaluations(sweep.budget))
    return Estimate(label, pace, expected / 3600, most / 3600)


def time_steps(sweep: Sweep, values: Mapping[str, Scalar], store: PatchStore, device: str, steps: int) -> Pace:
    """Train one configuration for a few steps more than `steps`, on as many threads as a worker has.

    Raises whatever the configuration raises.
    """
    # Imported here, because both load torch, which the driver does without.
    import torch

    from enhance.microrun import MicroRun

    torch.set_num_threads(THREADS)
    run = MicroRun(sweep.config(values), 0, store, device)
    eval_s = run.advance(WARM_STEPS).eval_s
    return Pace(run.advance(steps).train_s / steps, eval_s)
