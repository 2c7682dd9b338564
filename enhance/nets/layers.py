"""Layers as the DPED authors set them (their code): what its generator, its critic and FPIE's networks share.

Weights are drawn from a normal of deviation 0.01 cut at two deviations, biases start at 0.01, norms at scale 1 and
shift 0. Every draw comes from the generator that is passed in.
"""

import math

import torch
from torch import nn

WEIGHT_STD = 0.01
BIAS = 0.01
NORM_EPS = 1e-3
Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def conv(
    in_channels: int, out_channels: int, kernel: int, generator: torch.Generator, *, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
    """A convolution with bias and zero padding, given in pixels."""
    # skip_init: the constructor's own initialisation would draw from torch's global generator.
    layer = nn.utils.skip_init(nn.Conv2d, in_channels, out_channels, kernel, stride=stride, padding=padding)
    initialise(layer, generator)
    return layer


def same_conv(in_channels: int, out_channels: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    """A convolution of stride 1 and odd kernel that keeps H and W."""
    return conv(in_channels, out_channels, kernel, generator, padding=kernel // 2)


def linear(in_features: int, out_features: int, generator: torch.Generator) -> nn.Linear:
    """A fully connected layer with bias."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features)
    initialise(layer, generator)
    return layer


def initialise(layer: Weighted, generator: torch.Generator) -> None:
    """Sets the weights and biases of `layer` in place."""
    bound = 2 * WEIGHT_STD
    nn.init.trunc_normal_(layer.weight, std=WEIGHT_STD, a=-bound, b=bound, generator=generator)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, BIAS)


def initialise_all(module: nn.Module, init: str, generator: torch.Generator) -> None:
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
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / fan_in), generator=generator)
    _zero_bias(layer)


def _pix2pix(layer: Weighted, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
    _zero_bias(layer)


def _zero_bias(layer: Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def norm(kind: str, channels: int) -> nn.Module:
    """A norm with learned scale and shift: "instance" (the authors' code), "batch" (their paper's text) or "none".

    Instance norm keeps no running statistics: an image is always normalised by itself, in training and after.
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


_INITS = {"dped": initialise, "he": _he, "pix2pix": _pix2pix}
