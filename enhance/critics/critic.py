"""What every critic is: pictures in, scores out, the larger the more like a photograph of the good camera."""

import torch
from torch import Tensor, nn

from enhance.config.adversaries import CriticConfig


class Critic(nn.Module):
    """(N, 3, size_px, size_px) float pictures, nominally in [0, 1], to float32 scores (N, 1) or (N, 1, h, w).

    A map of scores judges overlapping patches; the score of the picture is its mean. A critic that sees the input
    (`sees_input`) must be given it, of the shape of the pictures; another one must not.

    Raises ValueError where `size_px` is below the minimum_px of `config`, and in `forward` where a shape is wrong.
    """

    sees_input: bool

    def __init__(self, config: CriticConfig, size_px: int) -> None:
        super().__init__()
        if size_px < config.minimum_px:
            raise ValueError(
                f"size_px={size_px} is too small for critic.family={config.family}: with these parameters it must be "
                f">= {config.minimum_px}"
            )
        self.family, self.size_px, self.sees_input = config.family, size_px, config.sees_input

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        self._check(images, inputs)
        seen = images if inputs is None else torch.cat([inputs, images], dim=1)
        return self.judge(seen).float()

    def judge(self, seen: Tensor) -> Tensor:
        """The scores of what the critic sees: the pictures, or input and picture one behind the other (6 channels)."""
        raise NotImplementedError

    def _check(self, images: Tensor, inputs: Tensor | None) -> None:
        shape = tuple(images.shape)
        if images.shape[1:] != (3, self.size_px, self.size_px):
            raise ValueError(
                f"this critic takes pictures of shape (N, 3, {self.size_px}, {self.size_px}), not {shape}: "
                f"it was built for size_px={self.size_px}"
            )
        if inputs is None and self.sees_input:
            raise ValueError("this critic is conditional: it must be given the inputs beside the pictures")
        if inputs is not None and not self.sees_input:
            raise ValueError(f"this critic ({self.family}) sees the pictures only: it must not be given inputs")
        if inputs is not None and inputs.shape != images.shape:
            raise ValueError(f"inputs must have the shape of the pictures, {shape}, not {tuple(inputs.shape)}")
