"""What a sweep will cost, extrapolated from a few training steps of one configuration.

That is the first enqueued configuration, or a corner of the space. It is timed in this process, before Ray starts, so
that nothing competes for the device; that loads torch and takes seconds.
"""

import statistics
from dataclasses import dataclass

from enhance.data import PatchStore
from sweeps.engine.cli.display.plan import expected_steps, most_steps
from sweeps.engine.environment import THREADS
from sweeps.engine.space import corner_points
from sweeps.engine.sweep import Sweep

WARM_STEPS, STEPS = 3, 10
"""Steps that do not count, since memory is allocated and kernels are chosen in them, and steps that are timed."""


@dataclass(frozen=True)
class Estimate:
    """Expected and maximal device hours, if every trial costs what the timed configuration does.

    `timed` names that configuration; `step_s` is the median of its steps and `eval_s` one evaluation, in seconds.
    """

    timed: str
    step_s: float
    eval_s: float
    expected_hours: float
    most_hours: float

    def words(self, price_per_hour: float | None) -> str:
        """The estimate in a line, with its price if there is one per hour."""
        said = f"about {self.expected_hours:.3g} device hours, at most {self.most_hours:.3g}"
        if price_per_hour is not None:
            expected, most = (hours * price_per_hour for hours in (self.expected_hours, self.most_hours))
            said += f"; about {expected:.2f}, at most {most:.2f} at {price_per_hour:g} per hour"
        steps = f"{1000 * self.step_s:.1f} ms per step, {self.eval_s:.2f} s per evaluation"
        return f"{said} ({steps}: {STEPS} steps of {self.timed}, with the device to itself)"


def estimate(sweep: Sweep, store: PatchStore, device: str) -> Estimate:
    """Time a few steps and one evaluation, and multiply. Raises whatever the timed configuration raises."""
    # Imported here, because both load torch, which the driver does without.
    import torch

    from enhance.microrun import MicroRun

    torch.set_num_threads(THREADS)
    label, values = next(iter(sweep.enqueue.items()), ("a corner of the space", next(corner_points(sweep.space))))
    run = MicroRun(sweep.config(values), 0, store, device)
    first = run.advance(WARM_STEPS)
    seconds = [run.advance(1).train_s for _ in range(STEPS)]
    step_s, eval_s = statistics.median(seconds), first.eval_s
    return Estimate(
        label,
        step_s,
        eval_s,
        _hours(expected_steps(sweep.budget, sweep.stopping), sweep, step_s, eval_s),
        _hours(most_steps(sweep.budget), sweep, step_s, eval_s),
    )


def _hours(steps: int, sweep: Sweep, step_s: float, eval_s: float) -> float:
    """Hours of `steps` training steps, with an evaluation at every rung."""
    evaluations = steps / sweep.budget.steps * len(sweep.budget.rung_steps())
    return (steps * step_s + evaluations * eval_s) / 3600
