"""When a trial has diverged: the rules, and the error that says which one was broken.

The size of a step's loss is the sum of the absolute weighted terms (terms of opposite sign must not hide each other).
Rules, looked at once per window of steps so that a GPU is not made to wait at every step:

- nan: a loss term or the gradient norm is NaN or infinite;
- explosion: the window's mean size exceeds `explosion` times that of the first window.

A discriminator whose accuracy stays near one half is normal for DPED (its authors' issue 19) and breaks no rule.
"""

import math
from dataclasses import dataclass

from enhance.config.training import GuardConfig


class Diverged(ArithmeticError):
    """Training left the rails: `kind` is "nan" or "explosion", `step` where it was noticed, `detail` the evidence."""

    def __init__(self, kind: str, step: int, detail: str) -> None:
        super().__init__(kind, step, detail)
        self.kind, self.step, self.detail = kind, step, detail

    def __str__(self) -> str:
        return f"{self.kind} by step {self.step}: {self.detail}"


@dataclass
class Guard:
    """Judges windows of training; its only memory is the size of the first window."""

    config: GuardConfig
    first_size: float | None = None

    def check(self, step: int, mean_size: float, mean_grad_norm: float) -> None:
        """Raise Diverged if the window that ends at `step` broke a rule.

        `mean_size` and `mean_grad_norm` are means over the window; one NaN or infinity in it makes them so too.
        """
        if not math.isfinite(mean_size):
            raise Diverged("nan", step, f"the loss is {mean_size}")
        if not math.isfinite(mean_grad_norm):
            raise Diverged("nan", step, f"the gradient norm is {mean_grad_norm}")
        if self.first_size is None:
            self.first_size = mean_size
        limit = self.config.explosion * max(self.first_size, 1e-12)
        if mean_size > limit:
            raise Diverged(
                "explosion",
                step,
                f"mean loss size {mean_size:.3g} over the last window, above {self.config.explosion:g} times "
                f"the first window's {self.first_size:.3g}",
            )
