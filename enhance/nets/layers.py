"""Layers that networks and critics share, and how their weights start.

A function that takes a generator sets the weights as the DPED authors do (their code): from a normal of deviation 0.01
cut at two deviations, biases at 0.01, norms at scale 1 and shift 0. Of the other layers no weight is set: a network
ends its constructor with `initialize_all`. Every draw comes from the generator that is passed in.
"""

import math

import torch
from torch import Tensor, nn

from enhance.nets.network import blank

WEIGHT_STD = 0.01
BIAS = 0.01
NORM_EPS = 1e-3
RESIDUAL_START = 0.01  # of a network that adds to its input: its last layer starts this much smaller
Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def conv(
    in_channels: int, out_channels: int, kernel: int, generator: torch.Generator, *, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
    """A convolution with bias and zero padding, given in pixels."""
    layer: nn.Conv2d = blank(nn.Conv2d, in_channels, out_channels, kernel, stride=stride, padding=padding)
    initialize(layer, generator)
    return layer


def linear(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """A fully connected layer with bias."""
    layer: nn.Linear = blank(nn.Linear, in_features, out_features)
    initialize(layer, generator)
    return layer


def same(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> nn.Module:
    """A convolution that divides H and W, multiples of `stride` <= `kernel`, by it: TensorFlow's SAME zero padding.

    Where the padding is uneven, more comes after: 3x3 of stride 2 pads 0 and 1, 4x4 of stride 1 pads 1 and 2.
    """
    before, after = _same_padding(kernel, stride)
    layer: nn.Conv2d = blank(
        nn.Conv2d, in_channels, out_channels, kernel, stride=stride, padding=before, groups=groups, bias=bias
    )
    return layer if before == after else nn.Sequential(nn.ZeroPad2d((0, after - before, 0, after - before)), layer)


def same_transposed(in_channels: int, out_channels: int, kernel: int, *, stride: int) -> nn.Module:
    """A transposed convolution that multiplies H and W by `stride` <= `kernel`, as TensorFlow's SAME padding places it.

    It is the gradient of `same` with respect to its input, so it cuts off what that one pads.
    """
    before, after = _same_padding(kernel, stride)
    layer: nn.ConvTranspose2d = blank(
        nn.ConvTranspose2d, in_channels, out_channels, kernel, stride=stride, padding=before
    )
    return layer if before == after else nn.Sequential(layer, nn.ZeroPad2d((0, before - after, 0, before - after)))


def _same_padding(kernel: int, stride: int) -> tuple[int, int]:
    total = kernel - stride
    return total // 2, total - total // 2


def halving(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution of stride 2 with one pixel of zeros on both sides (Johnson's and CycleGAN's codes)."""
    layer: nn.Conv2d = blank(nn.Conv2d, in_channels, out_channels, 3, stride=2, padding=1, bias=bias)
    return layer


def doubling(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """The transposed convolution that belongs to `halving`: exactly twice H and W."""
    layer: nn.ConvTranspose2d = blank(
        nn.ConvTranspose2d, in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=bias
    )
    return layer


def normed(layer: nn.Module, channels: int, norm_kind: str, activation_kind: str = "relu") -> list[nn.Module]:
    """A convolution to `channels`, the norm after it and the activation after that."""
    return [layer, norm(norm_kind, channels), activation(activation_kind, channels)]


class Residual(nn.Sequential):
    """Layers whose output is added to their input; nothing comes after the addition."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def scaled_tanh(z: Tensor) -> Tensor:
    """0.58 tanh + 0.5 in float32: [-0.08, 1.08], so that a saturated pixel still has a gradient (DPED's code).

    In bfloat16 the steps between neighboring output values would be as wide as those of 8-bit pictures.
    """
    return 0.58 * torch.tanh(z.float()) + 0.5


def output(kind: str, images: Tensor, z: Tensor) -> Tensor:
    """The last step of a network in float32: "residual" adds `z` to the input, "tanh" is `scaled_tanh` of `z` alone."""
    return images.float() + z.float() if kind == "residual" else scaled_tanh(z)


def start_near_input(last: nn.Module) -> None:
    """Shrink a network's last layer in place, so that input + output starts as nearly the input, but not quite.

    At exactly 0 no layer before the last would get a gradient, and all seeds would start as the same function.
    """
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(RESIDUAL_START)


def initialize(layer: Weighted, generator: torch.Generator) -> None:
    """Sets the weights and biases of `layer` in place."""
    bound = 2 * WEIGHT_STD
    nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD, a=-bound, b=bound, generator=generator)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, BIAS)


def initialize_all(module: nn.Module, init: str, generator: torch.Generator) -> None:
    """Sets every convolution, linear layer and norm in `module`, in the order of its modules.

    "dped": as above. "he": normals that keep the size of activations (He et al. 2015), biases 0. "pix2pix": normals of
    deviation 0.02 (norm scales: around 1), biases 0; CycleGAN's code as well.
    """
    for layer in module.modules():
        if isinstance(layer, Weighted):
            _INITS[init](layer, generator)
        elif init == "pix2pix" and isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02, generator=generator)


def _he(layer: Weighted, generator: torch.Generator) -> None:
    # A transposed convolution's weights are (in, out, h, w); what adds up in one output pixel is in * h * w / stride^2.
    if isinstance(layer, nn.ConvTranspose2d):
        fan_in = layer.weight[:, 0].numel() / layer.stride[0] ** 2
    else:
        fan_in = layer.weight[0].numel()
    # A depthwise layer here is followed by a pointwise one: there is no ReLU that halves the power.
    gain = 1 if isinstance(layer, nn.Conv2d) and layer.groups > 1 else 2
    nn.init.normal_(layer.weight, 0.0, math.sqrt(gain / fan_in), generator=generator)
    _zero_bias(layer)


def _pix2pix(layer: Weighted, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
    _zero_bias(layer)


def _zero_bias(layer: Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def norm(kind: str, channels: int) -> nn.Module:
    """A norm with learned scale and shift: "instance" (the authors' code), "batch" (their paper's text) or "none".

    Instance norm keeps no running statistics: an image is always normalized by itself, in training and after.
    """
    if kind == "instance":
        return nn.InstanceNorm2d(channels, eps=NORM_EPS, affine=True, track_running_stats=False)
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=NORM_EPS)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm={kind!r} is not a choice; choose from instance, batch, none")


def activation(kind: str, channels: int) -> nn.Module:
    """ "relu", or "prelu" with one slope per channel that starts at 0, i.e. as a ReLU (FPIE's code)."""
    return nn.PReLU(channels, init=0.0) if kind == "prelu" else nn.ReLU()


_INITS = {"dped": initialize, "he": _he, "pix2pix": _pix2pix}
