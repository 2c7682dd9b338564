"""Rungs: who goes on. Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel
Hyperparameter Tuning"), in its stopping form: a trial is judged when it arrives, against those that arrived before.
"""

import math


class Halving:
    """At every rung but the last, a trial goes on if it is among the best 1/`reduction` of those seen there so far.

    Nobody is held back to wait for peers, so the first to arrive always goes on. Higher is better: negate where not.
    The memory is a value per rung and trial, so hearing the same report twice changes nothing.
    """

    def __init__(self, rung_steps: tuple[int, ...], reduction: int) -> None:
        self.rung_steps, self.reduction = rung_steps, reduction
        self._values: list[dict[str, float]] = [{} for _ in rung_steps]

    def rung(self, step: int) -> int:
        """The index of the rung at `step`; raises ValueError where there is none."""
        if step not in self.rung_steps:
            raise ValueError(f"step {step} is not a rung; the rungs are at {', '.join(map(str, self.rung_steps))}")
        return self.rung_steps.index(step)

    def record(self, trial: str, step: int, value: float) -> None:
        """Remember what `trial` had reached at the rung of `step`."""
        if not math.isfinite(value):
            raise ValueError(f"trial {trial} has {value} at step {step}; only finite values can be compared")
        self._values[self.rung(step)][trial] = value

    def judge(self, trial: str, step: int) -> tuple[bool, str]:
        """Whether a recorded `trial` goes on from the rung of `step`, and the sentence that says why not."""
        rung = self.rung(step)
        values = sorted(self._values[rung].values(), reverse=True)
        places = max(1, len(values) // self.reduction)
        own = self._values[rung][trial]
        if rung == len(self.rung_steps) - 1 or own >= values[places - 1]:
            return True, ""
        place = 1 + sum(value > own for value in values)
        return False, f"rung {rung} (step {step}): place {place} of {len(values)}, {places} go on"
