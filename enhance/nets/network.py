"""The interface of all networks: images in, images of the same shape out, and deep features for a color curve."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from enhance.config.nets import NetConfig


class Network(nn.Module):
    """Maps (N, 3, H, W) float images, nominally in [0, 1], to unclipped float32 images of the same shape.

    H and W must be multiples of `multiple_of` and at least `minimum_px`; `apply` takes any size. `why_eager` says why
    its operations cannot be recorded and replayed on a GPU; "" if they can.
    """

    why_eager = ""

    def __init__(self, config: NetConfig, deep_channels: int) -> None:
        super().__init__()
        self.multiple_of, self.minimum_px = config.multiple_of, config.minimum_px
        self.deep_channels = deep_channels
        self.view = config.view

    def forward_deep(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and its deepest features, (N, deep_channels, h, w), which a CurveBlock reads."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_deep(images)[0]

    def signals(self) -> dict[str, Tensor]:
        """Diagnostics of the last forward pass for the report: detached tensors of shape (), by name."""
        return {}

    def switches(self) -> dict[str, bool]:
        """What a network is beside its weights: which of its optional parts are enabled, by name."""
        return {}

    def set_switches(self, switches: Mapping[str, bool]) -> None:
        """Enable and disable parts as `switches` of another network of this kind says."""

    def penalties(self) -> dict[str, tuple[float, Tensor]]:
        """Terms that the family adds to the loss, by name: the weight, and the value (shape ()) for the last pass."""
        return {}


def apply(net: Network, images: Tensor) -> Tensor:
    """Run `net` on (N, 3, H, W) images of any size: pad by repeating the border, then crop the output."""
    height, width = images.shape[-2:]
    down, right = (_missing(size, net) for size in (height, width))
    if not (down or right):
        output: Tensor = net(images)
        return output
    # Not "reflect", which cannot pad a picture by its own size or more.
    output = net(F.pad(images, (0, right, 0, down), mode="replicate"))
    return output[..., :height, :width]


def _missing(size_px: int, net: Network) -> int:
    wanted = max(size_px, net.minimum_px)
    # -a % b is what a lacks to the next multiple of b.
    return wanted + -wanted % net.multiple_of - size_px


class Dropout(nn.Module):
    """Drops single elements with probability `share` during training, with noise from a seed of its own.

    Each training step calls `reseed` first, so the noise at step t depends on (seed, t) only, like the batch.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None
        self._seed = 0

    def reseed(self, seed: int) -> None:
        """Restart the noise from `seed`."""
        self._seed = seed % 2**63  # what a torch generator takes
        if self.generator is not None:
            # The same generator as before: a recorded sequence of device operations draws from it.
            self.generator.manual_seed(self._seed)

    def use(self, generator: torch.Generator) -> None:
        """Draw the noise from `generator` from now on, from the seed of the last `reseed`."""
        self.generator = generator.manual_seed(self._seed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if self.generator is None:
            self.generator = torch.Generator(x.device).manual_seed(self._seed)
        # Not empty_like: the order of the draws would then follow x's memory layout.
        kept = torch.empty(x.shape, dtype=x.dtype, device=x.device).bernoulli_(1 - self.share, generator=self.generator)
        return x * kept / (1 - self.share)

    def extra_repr(self) -> str:
        return f"share={self.share}"


def reseed(net: nn.Module, seed: int) -> None:
    """Restart the noise of every Dropout in `net`, each from a different seed derived from `seed`."""
    layers = [layer for layer in net.modules() if isinstance(layer, Dropout)]
    for index, layer in enumerate(layers):
        # Networks of one rule have neighboring seeds; the factor exceeds any number of layers, so they share no noise.
        layer.reseed(seed * 1_000_003 + index)


def parameter_count(module: nn.Module) -> int:
    """The number of trainable parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def blank(layer: type[nn.Module], *args: Any, **kwargs: Any) -> Any:
    """A layer with uninitialized weights; the usual constructor would draw from torch's global generator."""
    return nn.utils.skip_init(layer, *args, **kwargs)
