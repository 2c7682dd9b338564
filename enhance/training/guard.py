"""When a trial has diverged: the rules, and the error that names the one that was broken.

The size of a step's loss is the sum of its absolute weighted terms, in which terms of opposite sign do not cancel. The
first two rules are checked once per window of steps, because a check makes the host wait for the GPU; the third is
checked at every report, the last at the end:

- nan: a loss term or the gradient norm is NaN or infinite;
- explosion: the window's mean size exceeds `explosion` times that of the first window;
- collapse: the `contrast` of the evaluated network falls below `collapse` after it was above LIVELY times that, in an
  earlier report or at the start. A network that starts flat (as DPED's initialization makes it) and stays flat is
  merely slow;
- stagnation: after the full budget, the mean PSNR is still more than `stagnation` dB below that of the untouched input.
  Such training may have shown no other sign of trouble, like the generator loss that did not move in the second attempt
  of the EnhanceGAN re-implementation, and yet doing nothing would have been better. Off unless a limit is set.

A discriminator accuracy near one half is normal for DPED (issue 19 in its authors' repository) and breaks no rule. The
rules and their limits are ours; none comes from the papers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from enhance.config.training import GuardConfig

LIVELY = 4
"""Above this multiple of `collapse` an output is certainly not flat; in between it could be on its way in or out."""


class Diverged(ArithmeticError):
    """Training has diverged: `kind` names the broken rule, `step` when it was noticed, `detail` the evidence."""

    def __init__(self, kind: str, step: int, detail: str) -> None:
        super().__init__(kind, step, detail)
        self.kind, self.step, self.detail = kind, step, detail

    def __str__(self) -> str:
        return f"{self.kind} by step {self.step}: {self.detail}"


@dataclass
class Guard:
    """Watches one training run. Its state is the loss size of the first window and the highest contrast so far."""

    config: GuardConfig
    first_size: float | None = None
    top_contrast: float = 0.0

    def check(self, step: int, mean_size: float, mean_grad_norm: float) -> None:
        """Raise Diverged if the window that ends at `step` broke a rule.

        The arguments are means over the window; a single NaN or infinity in it shows up in them.
        """
        if not math.isfinite(mean_size):
            raise Diverged("nan", step, f"the loss is {mean_size}")
        if not math.isfinite(mean_grad_norm):
            raise Diverged("nan", step, f"the gradient norm is {mean_grad_norm}")
        if self.first_size is None:
            self.first_size = mean_size
        limit = self.config.explosion * max(self.first_size, 1e-12)  # a first window of exactly 0 would forbid any loss
        if mean_size > limit:
            raise Diverged(
                "explosion",
                step,
                f"mean loss size {mean_size:.3g} over the last window, above {self.config.explosion:g} times "
                f"the first window's {self.first_size:.3g}",
            )

    def check_contrast(self, step: int, contrast: float) -> None:
        """Raise Diverged if the output has gone flat. The first call cannot raise; it only sets the reference."""
        if contrast < self.config.collapse and self.top_contrast > LIVELY * self.config.collapse:
            raise Diverged(
                "collapse",
                step,
                f"the output has {contrast:.3g} times the contrast of the input, below {self.config.collapse:g}; "
                f"it has had {self.top_contrast:.3g}",
            )
        if contrast > self.top_contrast:  # False for NaN
            self.top_contrast = contrast

    def check_gain(self, step: int, psnr_gain_db: float) -> None:
        """Raise Diverged if, after the full budget, the output is far worse than the untouched input."""
        if self.config.stagnation and psnr_gain_db < -self.config.stagnation:
            raise Diverged(
                "stagnation",
                step,
                f"after the full budget the PSNR is {-psnr_gain_db:.3g} dB below the untouched input's, more than "
                f"{self.config.stagnation:g}",
            )

    def state_dict(self) -> dict[str, Any]:
        """The guard's state."""
        return {"first_size": self.first_size, "top_contrast": self.top_contrast}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`. Raises KeyError if it does not fit."""
        self.first_size, self.top_contrast = state["first_size"], state["top_contrast"]


@torch.no_grad()
def contrast(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The mean contrast of the outputs divided by that of the inputs: about 1 if it is preserved, 0 if they are flat.

    `pairs` are batches (N, 3, H, W) of inputs and outputs; both are clipped to [0, 1] first. A picture's contrast is
    the standard deviation of its pixels around the mean of their channel, all channels together, so that a plain color
    of any hue has none. If all inputs are plain, the result is infinite or NaN, neither of which breaks a rule.
    """
    inputs, outputs = (torch.cat([_deviation(batch) for batch in side]).mean() for side in zip(*pairs, strict=True))
    return float(outputs / inputs)


def _deviation(images: Tensor) -> Tensor:
    """The contrast of each picture: (N, 3, H, W) to (N,)."""
    return images.clamp(0, 1).var(dim=(2, 3), correction=0).mean(dim=1).sqrt()
