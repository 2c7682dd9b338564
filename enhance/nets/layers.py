"""Layers shared by networks and critics, and the initialization of their weights.

Functions that take a generator initialize weights as the DPED authors' code does: truncated normal with deviation 0.01,
cut at two deviations; biases 0.01; norms with scale 1 and shift 0. The other functions leave weights uninitialized: a
network ends its constructor with `initialize_all`. Every random draw comes from the generator that is passed in.
"""

import math

import torch
from torch import Tensor, nn

from enhance.nets.network import blank

WEIGHT_STD = 0.01
BIAS = 0.01
NORM_EPS = 1e-3  # TensorFlow's default, and that of DPED's code
RESIDUAL_START = 0.01  # factor on the last layer's initial weights, in networks that add to their input
Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def conv(
    in_channels: int, out_channels: int, kernel: int, generator: torch.Generator, *, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
    """A convolution with bias and zero padding; `padding` is in pixels."""
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
    """A convolution with TensorFlow's SAME zero padding. It divides H and W, multiples of `stride` <= `kernel`, by it.

    If the padding is uneven, the larger part comes after: 3x3 of stride 2 pads 0 and 1, 4x4 of stride 1 pads 1 and 2.
    """
    before, after = _same_padding(kernel, stride)
    layer: nn.Conv2d = blank(
        nn.Conv2d, in_channels, out_channels, kernel, stride=stride, padding=before, groups=groups, bias=bias
    )
    # Conv2d pads both sides alike, so it gets the smaller amount and ZeroPad2d the rest, at the right and bottom.
    return layer if before == after else nn.Sequential(nn.ZeroPad2d((0, after - before, 0, after - before)), layer)


def same_transposed(in_channels: int, out_channels: int, kernel: int, *, stride: int) -> nn.Module:
    """A transposed convolution, aligned like TensorFlow's SAME. It multiplies H and W by `stride` <= `kernel`.

    It is the gradient of `same` with respect to its input, so it crops what `same` would pad.
    """
    before, after = _same_padding(kernel, stride)
    layer: nn.ConvTranspose2d = blank(
        nn.ConvTranspose2d, in_channels, out_channels, kernel, stride=stride, padding=before
    )
    # Negative padding crops.
    return layer if before == after else nn.Sequential(layer, nn.ZeroPad2d((0, before - after, 0, before - after)))


def _same_padding(kernel: int, stride: int) -> tuple[int, int]:
    # For sizes that are multiples of the stride, as `multiple_of` ensures.
    total = kernel - stride
    return total // 2, total - total // 2


def down_conv(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution of stride 2 with one zero pixel on both sides, as in Johnson's and CycleGAN's code."""
    layer: nn.Conv2d = blank(nn.Conv2d, in_channels, out_channels, 3, stride=2, padding=1, bias=bias)
    return layer


def up_conv(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """The transposed counterpart of `down_conv`; it exactly doubles H and W."""
    # output_padding: H and H - 1 halve to the same size, so the transpose must be told which of them to return.
    layer: nn.ConvTranspose2d = blank(
        nn.ConvTranspose2d, in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=bias
    )
    return layer


def with_norm(layer: nn.Module, channels: int, norm_kind: str, activation_kind: str = "relu") -> list[nn.Module]:
    """A convolution with `channels` outputs, followed by its norm and activation."""
    return [layer, norm(norm_kind, channels), activation(activation_kind, channels)]


class Residual(nn.Sequential):
    """Layers whose input is added to their output, with nothing after the addition."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def scaled_tanh(z: Tensor) -> Tensor:
    """0.58 tanh + 0.5 in float32: range [-0.08, 1.08], so that a pixel at 0 or 1 still has a gradient (DPED's code).

    In bfloat16, neighboring output values would be as far apart as those of an 8-bit picture.
    """
    return 0.58 * torch.tanh(z.float()) + 0.5


def output(kind: str, images: Tensor, z: Tensor) -> Tensor:
    """A network's final step, in float32: "residual" adds `z` to the input, "tanh" is `scaled_tanh` of `z` alone."""
    return images.float() + z.float() if kind == "residual" else scaled_tanh(z)


def start_near_input(last: nn.Module) -> None:
    """Shrink a network's last layer in place, so that input + output starts out almost equal to the input.

    At exactly 0, no earlier layer would get a gradient, and all seeds would start as the same function.
    """
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(RESIDUAL_START)


def initialize(layer: Weighted, generator: torch.Generator) -> None:
    """Initialize the weights and bias of `layer` in place, as DPED's code does."""
    # trunc_normal_ takes absolute bounds, and by default cuts at 2, not at two deviations.
    bound = 2 * WEIGHT_STD
    nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD, a=-bound, b=bound, generator=generator)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, BIAS)


def initialize_all(module: nn.Module, init: str, generator: torch.Generator) -> None:
    """Initialize every convolution, linear layer and norm in `module`, in registration order.

    init: "dped": see the module. "he": normal with a deviation that preserves the scale of activations (He et al.
    2015), biases 0. "pix2pix": normal with deviation 0.02, norm scales likewise around 1, biases 0; also CycleGAN's.
    "xavier": normal with the variance 2 / (fan in + fan out) (Glorot and Bengio 2010), norm scales as for "pix2pix",
    biases 0.
    """
    # For "dped" and "he", norms and PReLUs already hold the right values: their constructors, which draw nothing, have
    # run. Only layers from `blank` come without values.
    for layer in module.modules():
        if isinstance(layer, Weighted):
            _INITS[init](layer, generator)
        elif init in ("pix2pix", "xavier") and isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02, generator=generator)


def _he(layer: Weighted, generator: torch.Generator) -> None:
    # Transposed weights are (in, out, h, w), and each output pixel sums in * h * w / stride^2 products.
    if isinstance(layer, nn.ConvTranspose2d):
        fan_in = layer.weight[:, 0].numel() / layer.stride[0] ** 2
    else:
        fan_in = layer.weight[0].numel()
    # A depthwise layer is always followed by a pointwise one here, so no ReLU halves its power.
    gain = 1 if isinstance(layer, nn.Conv2d) and layer.groups > 1 else 2
    nn.init.normal_(layer.weight, 0.0, math.sqrt(gain / fan_in), generator=generator)
    _zero_bias(layer)


def _pix2pix(layer: Weighted, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
    _zero_bias(layer)


def _xavier(layer: Weighted, generator: torch.Generator) -> None:
    nn.init.xavier_normal_(layer.weight, generator=generator)
    _zero_bias(layer)


def _zero_bias(layer: Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def norm(kind: str, channels: int) -> nn.Module:
    """A norm with learned scale and shift: "instance" (DPED's code), "batch" (DPED's paper) or "none".

    Instance norm keeps no running statistics: each image is normalized by its own, in training and in evaluation.
    """
    if kind == "instance":
        return nn.InstanceNorm2d(channels, eps=NORM_EPS, affine=True, track_running_stats=False)
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=NORM_EPS)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm={kind!r} is not a choice; choose from instance, batch, none")


def activation(kind: str, channels: int) -> nn.Module:
    """ "relu", or "prelu" with one slope per channel, starting at 0, that is, as a ReLU (FPIE's code)."""
    return nn.PReLU(channels, init=0.0) if kind == "prelu" else nn.ReLU()


_INITS = {"dped": initialize, "he": _he, "pix2pix": _pix2pix, "xavier": _xavier}
