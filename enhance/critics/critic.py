"""The interface of all critics: pictures in, scores out; a higher score means more like the good camera."""

import torch
from torch import Tensor, nn

from enhance.config.adversaries import CriticConfig


class Critic(nn.Module):
    """Maps (N, 3, size_px, size_px) float pictures, nominally in [0, 1], to float32 scores (N, 1) or (N, 1, h, w).

    A map of scores judges overlapping patches; the picture's score is the mean. A critic with `sees_input` must be
    given the inputs, in the shape of the pictures; any other critic must not.

    Raises ValueError if `size_px` is below `config.minimum_px`, and from `forward` if a shape is wrong.
    """

    sees_input: bool

    def __init__(self, config: CriticConfig, size_px: int) -> None:
        super().__init__()
        if size_px < config.minimum_px:
            raise ValueError(
                f"size_px={size_px} is too small for critic.family={config.family}: with these parameters it must be "
                f"at least {config.minimum_px}"
            )
        self.family, self.size_px, self.sees_input = config.family, size_px, config.sees_input

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        self._check(images, inputs)
        seen = images if inputs is None else torch.cat([inputs, images], dim=1)
        # Scores stay float32 under autocast: objectives take logarithms and differences of them.
        return self.judge(seen).float()

    def judge(self, seen: Tensor) -> Tensor:
        """The scores of what the critic sees: the pictures, or each input stacked on its picture (6 channels)."""
        raise NotImplementedError

    def _check(self, images: Tensor, inputs: Tensor | None) -> None:
        shape = tuple(images.shape)
        if images.shape[1:] != (3, self.size_px, self.size_px):
            raise ValueError(
                f"this critic takes pictures of shape (N, 3, {self.size_px}, {self.size_px}), not {shape}, "
                f"because it was built for size_px={self.size_px}"
            )
        if inputs is None and self.sees_input:
            raise ValueError("this critic is conditional: it must be given the inputs along with the pictures")
        if inputs is not None and not self.sees_input:
            raise ValueError(f"this critic ({self.family}) sees only the pictures: it must not be given inputs")
        if inputs is not None and inputs.shape != images.shape:
            raise ValueError(f"inputs must have the shape of the pictures, {shape}, not {tuple(inputs.shape)}")
