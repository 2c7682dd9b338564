"""When a trial has diverged: the rules, and the error that says which one was broken.

The size of a step's loss is the sum of the absolute weighted terms (terms of opposite sign must not hide each other).
Two rules are looked at once per window of steps, so that a GPU is not made to wait at every step, one at every report,
one at the last:

- nan: a loss term or the gradient norm is NaN or infinite;
- explosion: the window's mean size exceeds `explosion` times that of the first window;
- collapse: the evaluated network's `contrast` falls below `collapse` after it has been above LIVELY times that, at an
  earlier report or at the start. A network that starts flat (as DPED's initialisation does) and stays so is only slow;
- stagnation: after the full budget the mean PSNR is still more than `stagnation` dB below that of the untouched input.
  Training may have gone its way without a sign of trouble, as the generator loss that stood still in the EnhanceGAN
  re-implementation's second attempt; doing nothing would have been better. Off unless a limit is set.

A discriminator whose accuracy stays near one half is normal for DPED (its authors' issue 19) and breaks no rule. The
rules and their limits are ours, not of any of the papers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from enhance.config.training import GuardConfig

LIVELY = 4
"""A network is not flat for certain above this many times `collapse`; in between it may be on its way out or in."""


class Diverged(ArithmeticError):
    """Training left the rails: `kind` is the rule's name above, `step` where it was noticed, `detail` the evidence."""

    def __init__(self, kind: str, step: int, detail: str) -> None:
        super().__init__(kind, step, detail)
        self.kind, self.step, self.detail = kind, step, detail

    def __str__(self) -> str:
        return f"{self.kind} by step {self.step}: {self.detail}"


@dataclass
class Guard:
    """Judges a training run; its memory is the size of the first window and the highest contrast so far."""

    config: GuardConfig
    first_size: float | None = None
    top_contrast: float = 0.0

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

    def check_contrast(self, step: int, contrast: float) -> None:
        """Raise Diverged if the output has gone flat; the first call only remembers."""
        if contrast < self.config.collapse and self.top_contrast > LIVELY * self.config.collapse:
            raise Diverged(
                "collapse",
                step,
                f"the output has {contrast:.3g} times the contrast of the input, below {self.config.collapse:g}; "
                f"it has had {self.top_contrast:.3g}",
            )
        if contrast > self.top_contrast:  # never so for NaN
            self.top_contrast = contrast

    def check_gain(self, step: int, psnr_gain_db: float) -> None:
        """Raise Diverged if what the full budget has made of the pictures is far worse than leaving them alone."""
        if self.config.stagnation and psnr_gain_db < -self.config.stagnation:
            raise Diverged(
                "stagnation",
                step,
                f"after the full budget the PSNR is {-psnr_gain_db:.3g} dB below the untouched input's, more than "
                f"{self.config.stagnation:g}",
            )

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {"first_size": self.first_size, "top_contrast": self.top_contrast}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a memory; raises KeyError where it does not fit."""
        self.first_size, self.top_contrast = state["first_size"], state["top_contrast"]


@torch.no_grad()
def contrast(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The mean contrast of the outputs over that of the inputs: about 1 where a picture keeps its own, 0 where flat.

    `pairs` are batches (N, 3, H, W) of inputs and outputs, both clipped to [0, 1] first. The contrast of one picture is
    the standard deviation of its pixels about their channel's mean, all channels together, so that a plain color of any
    hue has none. Infinite or NaN, which break no rule, where all inputs are plain.
    """
    inputs, outputs = (torch.cat([_deviation(batch) for batch in side]).mean() for side in zip(*pairs, strict=True))
    return float(outputs / inputs)


def _deviation(images: Tensor) -> Tensor:
    """(N, 3, H, W) to (N,)."""
    return images.clamp(0, 1).var(dim=(2, 3), correction=0).mean(dim=1).sqrt()
