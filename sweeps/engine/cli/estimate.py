"""What a sweep will cost, from a few measured steps of its baseline: the first of its first settings, or a corner.

Measured in this process, before Ray is started, so that nothing else competes; it loads torch, and takes seconds.
"""

import statistics
from dataclasses import dataclass

from enhance.data import PatchStore
from sweeps.engine.cli.plan import expected_steps, most_steps
from sweeps.engine.environment import THREADS
from sweeps.engine.space import corner_points
from sweeps.engine.sweep import Sweep

WARM_STEPS, STEPS = 3, 10


@dataclass(frozen=True)
class Estimate:
    """Device hours that are expected and that cannot be exceeded, if every trial costs what the baseline does.

    `baseline` names what was measured, `step_s` is the median of its steps, `eval_s` one evaluation.
    """

    baseline: str
    step_s: float
    eval_s: float
    expected_hours: float
    most_hours: float

    def words(self, price_per_hour: float | None) -> str:
        """The estimate in a line, with money where there is a price."""
        said = f"about {self.expected_hours:.3g} device hours, at most {self.most_hours:.3g}"
        if price_per_hour is not None:
            expected, most = (hours * price_per_hour for hours in (self.expected_hours, self.most_hours))
            said += f"; about {expected:.2f}, at most {most:.2f} at {price_per_hour:g} an hour"
        steps = f"{1000 * self.step_s:.1f} ms a step, {self.eval_s:.2f} s an evaluation"
        return f"{said} ({steps}: {STEPS} steps of {self.baseline}, measured alone)"


def estimate(sweep: Sweep, store: PatchStore, device: str) -> Estimate:
    """Train the baseline for some steps, evaluate it once, and multiply. Raises whatever the baseline raises."""
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
    """The steps, and as many evaluations as trials that are trained so far would have reports."""
    evaluations = steps / sweep.budget.steps * sweep.budget.rungs
    return (steps * step_s + evaluations * eval_s) / 3600
