"""What every network is: images in, images of the same shape out, and deep features on the way."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import NetConfig


class Network(nn.Module):
    """(N, 3, H, W) float images, nominally in [0, 1], to images of the same shape in float32, not clipped.

    H and W must be multiples of `multiple_of` and at least `minimum_px`; `apply` takes any size.
    """

    def __init__(self, config: NetConfig, deep_channels: int) -> None:
        super().__init__()
        self.multiple_of, self.minimum_px = config.multiple_of, config.minimum_px
        self.deep_channels = deep_channels

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and the deepest features (N, deep_channels, h, w) that led to it (what a CurveBlock reads)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_deep(images)[0]

    def signals(self) -> dict[str, Tensor]:
        """StepStats about the last forward pass that are worth a report: names and detached tensors of shape ()."""
        return {}

    def follow(self, other: "Network") -> None:
        """Take over from a network of the same kind what is no weight: which of its parts are switched on."""


def apply(net: Network, images: Tensor) -> Tensor:
    """The output of `net` for (N, 3, H, W) images of any size: the border is repeated outwards and cropped again."""
    height, width = images.shape[-2:]
    down, right = (_missing(size, net) for size in (height, width))
    if not (down or right):
        output: Tensor = net(images)
        return output
    output = net(F.pad(images, (0, right, 0, down), mode="replicate"))
    return output[..., :height, :width]


def _missing(size_px: int, net: Network) -> int:
    wanted = max(size_px, net.minimum_px)
    return wanted + -wanted % net.multiple_of - size_px


class Dropout(nn.Module):
    """Drops whole elements with probability `share` in training; its noise comes from a seed, not a global generator.

    A training step calls `reseed` first, so that the noise at step t is a function of (seed, t) like the batch.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self._generator: torch.Generator | None = None
        self._seed = 0

    def reseed(self, seed: int) -> None:
        """Start the noise anew."""
        self._seed = seed % 2**63
        self._generator = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if self._generator is None:
            self._generator = torch.Generator(x.device).manual_seed(self._seed)
        # Not empty_like: which element is dropped would depend on how x lies in memory.
        kept = torch.empty(x.shape, dtype=x.dtype, device=x.device).bernoulli_(
            1 - self.share, generator=self._generator
        )
        return x * kept / (1 - self.share)

    def extra_repr(self) -> str:
        return f"share={self.share}"


def reseed(net: nn.Module, seed: int) -> None:
    """Start the noise of every Dropout in `net` anew, each from a number of its own."""
    layers = [layer for layer in net.modules() if isinstance(layer, Dropout)]
    for index, layer in enumerate(layers):
        layer.reseed(seed * 1_000_003 + index)


def parameter_count(module: nn.Module) -> int:
    """How many trainable numbers a module has."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def blank(layer: type[nn.Module], *args: Any, **kwargs: Any) -> Any:
    """A layer whose weights are not set: the constructor's own would draw from torch's global generator."""
    return nn.utils.skip_init(layer, *args, **kwargs)
